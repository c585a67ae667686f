/* Frames on the serial line: COBS around type, seq, payload and CRC-16 (COMPANION.md 1). */
#ifndef RDV_FRAME_H
#define RDV_FRAME_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define FRAME_PAYLOAD_MAX 96u
#define FRAME_RAW_MAX (2u + FRAME_PAYLOAD_MAX + 2u)
/* Both delimiters, and one code byte for at most 253 bytes. */
#define FRAME_WIRE_MAX (FRAME_RAW_MAX + 3u)

/* What has come of the present frame, decoded as it comes, and what became of those before. */
struct frame_decoder {
    uint32_t whole;
    uint32_t damaged;
    uint8_t raw[FRAME_RAW_MAX];
    uint8_t length;    /* of raw */
    uint8_t code;      /* of the present block */
    uint8_t left;      /* bytes that the present block still lacks */
    bool begun;        /* something came since the delimiter */
    bool overflow;
};

/* A whole frame; payload lies in the decoder and is valid until its next byte. */
struct frame {
    const uint8_t *payload;
    uint16_t crc;
    uint8_t type;
    uint8_t seq;
    uint8_t length;
};

/* data to COBS, at most n + 1 + n / 254 bytes. Returns how many. */
size_t cobs_encode(const uint8_t *data, size_t n, uint8_t *out);

/* Whole frame with delimiters; n <= FRAME_PAYLOAD_MAX. Returns its length. */
size_t frame_encode(uint8_t type, uint8_t seq, const uint8_t *payload, size_t n, uint8_t out[FRAME_WIRE_MAX]);

/* Takes one byte of the line. True when it ended a whole frame. */
bool frame_decode(struct frame_decoder *decoder, uint8_t byte, struct frame *frame);
#endif
