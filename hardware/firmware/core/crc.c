/* Checksums without tables: size counts here, not speed. */
#include "crc.h"

uint16_t crc16(const uint8_t *p, size_t n) {
    uint32_t crc = 0xffffu;
    for (size_t i = 0; i < n; i++) { /* a byte at a time: x is the byte after the shifts that the polynomial asks for */
        uint32_t x = (crc >> 8 ^ p[i]) & 0xffu;
        x ^= x >> 4;
        crc = (crc << 8 ^ x << 12 ^ x << 5 ^ x) & 0xffffu;
    }
    return (uint16_t)~crc;
}

uint32_t crc32(const uint8_t *p, size_t n) {
    uint32_t crc = 0xffffffffu;
    for (size_t i = 0; i < n; i++) {
        crc ^= p[i];
        for (unsigned bit = 0; bit < 8; bit++) crc = crc >> 1 ^ ((crc & 1u) ? 0xedb88320u : 0u);
    }
    return ~crc;
}
