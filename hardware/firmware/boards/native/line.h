/* The native board's serial line: a pseudo-terminal, with noise on it where wanted. */
#ifndef RDV_NATIVE_LINE_H
#define RDV_NATIVE_LINE_H
#include <stddef.h>
#include <stdint.h>

/* Returns the path that the host opens. */
const char *line_open(uint32_t noise_ppm, uint32_t seed);
/* Waits at most ms for bytes; returns how many came, through the noise. */
size_t line_read(uint8_t *bytes, size_t max, int ms);
#endif
