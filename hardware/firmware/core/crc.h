/* Checksums: CRC-16/GENIBUS of frames and flash records, CRC-32 of the program image (COMPANION.md 1, 7). */
#ifndef RDV_CRC_H
#define RDV_CRC_H
#include <stddef.h>
#include <stdint.h>

uint16_t crc16(const uint8_t *p, size_t n);
uint32_t crc32(const uint8_t *p, size_t n);
#endif
