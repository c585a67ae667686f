/* Ephemeral ids and adverts. */
#include "advert.h"

#include "aes128.h"
#include "bytes.h"

void eid_at(const uint8_t key[BEACON_KEY_BYTES], uint32_t seconds, uint8_t exponent, uint8_t eid[EID_BYTES]) {
    uint8_t temporary[AES_BLOCK] = {0};
    uint8_t block[AES_BLOCK] = {0};
    temporary[11] = 0xff;
    put16(temporary + 14, (uint16_t)(seconds >> 16));
    aes128_encrypt(key, temporary);
    block[11] = exponent;
    put32(block + 12, seconds >> exponent << exponent);
    aes128_encrypt(temporary, block);
    copy_bytes(eid, block, EID_BYTES);
    wipe_bytes(temporary, AES_BLOCK);
    wipe_bytes(block, AES_BLOCK);
}

/* Flags, and service data under the RDV service UUID (SPEC 8.2), least significant byte first. */
static const uint8_t NATIVE_HEAD[21] = {2,    1,    6,    27,   0x21, 0xa4, 0x05, 0xc5, 0xb4, 0xc0, 0x8b,
                                        0xca, 0x9f, 0x3a, 0x47, 0x5e, 0x52, 0x4e, 0x2a, 0x28, 0x0d};
/* Flags, the UUID feaa, service data under it, frame type EID (SPEC 8.3). */
static const uint8_t EDDYSTONE_HEAD[12] = {2, 1, 6, 3, 3, 0xaa, 0xfe, 13, 0x16, 0xaa, 0xfe, 0x30};

#define VERSION 0x10u
#define NEEDS_TIME 0x08u

/* The nearest of -20, -8, 0 and 8 dBm. */
static uint8_t power_class(int8_t dbm) {
    if (dbm < -14) return 0;
    if (dbm < -4) return 1;
    return dbm < 4 ? 2 : 3;
}

uint8_t advert_encode(enum advert_format format, const uint8_t eid[EID_BYTES], int8_t calibrated_dbm,
                      uint8_t out[ADVERT_MAX]) {
    if (format == FORMAT_EDDYSTONE) {
        copy_bytes(out, EDDYSTONE_HEAD, sizeof EDDYSTONE_HEAD);
        out[12] = (uint8_t)calibrated_dbm;
        copy_bytes(out + 13, eid, EID_BYTES);
        return 21;
    }
    copy_bytes(out, NATIVE_HEAD, sizeof NATIVE_HEAD);
    out[21] = VERSION;
    copy_bytes(out + 22, eid, EID_BYTES);
    out[30] = power_class(calibrated_dbm);
    return 31;
}

uint8_t advert_needs_time(uint8_t out[ADVERT_MAX]) {
    copy_bytes(out, NATIVE_HEAD, sizeof NATIVE_HEAD);
    out[3] = 18;
    out[21] = VERSION | NEEDS_TIME;
    return 22;
}
