/* The shapes of the generated vectors (tools/vectors.mjs). */
#ifndef RDV_VECTOR_TYPES_H
#define RDV_VECTOR_TYPES_H
#include <stdint.h>

#include "../core/advert.h"

struct vector_bytes {
    const uint8_t *bytes;
    uint32_t length;
};
struct vector_crc {
    struct vector_bytes data;
    uint32_t crc;
};
struct vector_pair {
    struct vector_bytes data;
    struct vector_bytes encoded;
};
struct vector_frame {
    const char *name;
    uint8_t type;
    uint8_t seq;
    struct vector_bytes payload;
    struct vector_bytes wire;
};
struct vector_no_frame {
    const char *why;
    struct vector_bytes wire;
};
struct vector_eid {
    struct vector_bytes key;
    uint32_t seconds;
    uint8_t exponent;
    struct vector_bytes eid;
};
struct vector_advert {
    struct vector_bytes key;
    uint32_t seconds;
    uint8_t exponent;
    uint8_t format;
    int8_t calibrated_dbm;
    struct vector_bytes data;
};
enum step_kind { STEP_SEND, STEP_MS, STEP_POWER, STEP_RESET };
struct vector_step {
    const char *session;
    const char *why;
    uint8_t first;
    enum step_kind kind;
    uint32_t ms;
    struct vector_bytes frame; /* type, seq, payload */
    uint32_t says;             /* how many of vectors_said */
};
struct vector_said {
    struct vector_bytes frame;
};
#endif
