/* Ephemeral ids and the adverts that carry them, byte for byte as SPEC 8.1 to 8.3; "needs time" (COMPANION.md 5). */
#ifndef RDV_ADVERT_H
#define RDV_ADVERT_H
#include <stddef.h>
#include <stdint.h>

#define BEACON_KEY_BYTES 16u
#define EID_BYTES 8u
#define ADVERT_MAX 31u
#define EXPONENT_MAX 15u

enum advert_format { FORMAT_NATIVE = 0, FORMAT_EDDYSTONE = 1 };

/* The id at the clock `seconds`, of a window of 2^exponent seconds. */
void eid_at(const uint8_t key[BEACON_KEY_BYTES], uint32_t seconds, uint8_t exponent, uint8_t eid[EID_BYTES]);

/* Advertising data; returns its length. calibrated_dbm: at 0 m. */
uint8_t advert_encode(enum advert_format format, const uint8_t eid[EID_BYTES], int8_t calibrated_dbm, uint8_t out[ADVERT_MAX]);

/* What a beacon without a clock sends: nothing of it differs from another's. */
uint8_t advert_needs_time(uint8_t out[ADVERT_MAX]);
#endif
