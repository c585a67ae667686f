/* The native board's flash: a file in memory, which loses power where it is told to. */
#ifndef RDV_NATIVE_FLASH_H
#define RDV_NATIVE_FLASH_H
#include <stdint.h>

/* path NULL: nothing is kept. cut: the operation that power fails in, counted from 1; 0: none. */
void flash_open(const char *path, int32_t cut);
#endif
