/* Big-endian fields and byte blocks without a C library. */
#ifndef RDV_BYTES_H
#define RDV_BYTES_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

static inline uint16_t get16(const uint8_t *p) { return (uint16_t)((unsigned)p[0] << 8 | p[1]); }

static inline uint32_t get32(const uint8_t *p) {
    return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

static inline void put16(uint8_t *p, uint16_t v) {
    p[0] = (uint8_t)(v >> 8);
    p[1] = (uint8_t)v;
}

static inline void put32(uint8_t *p, uint32_t v) {
    put16(p, (uint16_t)(v >> 16));
    put16(p + 2, (uint16_t)v);
}

static inline void copy_bytes(uint8_t *to, const uint8_t *from, size_t n) {
    for (size_t i = 0; i < n; i++) to[i] = from[i];
}

static inline void clear_bytes(uint8_t *p, size_t n) {
    for (size_t i = 0; i < n; i++) p[i] = 0;
}

/* Clears a secret so that no compiler leaves it out. */
static inline void wipe_bytes(uint8_t *p, size_t n) {
    volatile uint8_t *v = p;
    for (size_t i = 0; i < n; i++) v[i] = 0;
}

static inline bool same_bytes(const uint8_t *a, const uint8_t *b, size_t n) {
    for (size_t i = 0; i < n; i++)
        if (a[i] != b[i]) return false;
    return true;
}
#endif
