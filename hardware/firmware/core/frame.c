/* Frame encoder, and a decoder that needs no buffer but the frame itself. */
#include "frame.h"

#include "bytes.h"
#include "crc.h"

size_t cobs_encode(const uint8_t *data, size_t n, uint8_t *out) {
    size_t code_at = 0;
    size_t at = 1;
    uint8_t code = 1;
    for (size_t i = 0; i < n; i++) {
        if (data[i] != 0) {
            out[at++] = data[i];
            code++;
        }
        if (data[i] == 0 || (code == 0xffu && i + 1 < n)) {
            out[code_at] = code;
            code_at = at++;
            code = 1;
        }
    }
    out[code_at] = code;
    return at;
}

size_t frame_encode(uint8_t type, uint8_t seq, const uint8_t *payload, size_t n, uint8_t out[FRAME_WIRE_MAX]) {
    uint8_t raw[FRAME_RAW_MAX];
    raw[0] = type;
    raw[1] = seq;
    copy_bytes(raw + 2, payload, n);
    put16(raw + 2 + n, crc16(raw, n + 2));
    out[0] = 0;
    size_t end = 1 + cobs_encode(raw, n + 4, out + 1);
    out[end] = 0;
    return end + 1;
}

static void put(struct frame_decoder *d, uint8_t byte) {
    if (d->length < FRAME_RAW_MAX) d->raw[d->length++] = byte;
    else d->overflow = true;
}

static bool is_whole(const struct frame_decoder *d) {
    if (d->overflow || d->left != 0 || d->length < 4) return false;
    return crc16(d->raw, d->length - 2u) == get16(d->raw + d->length - 2);
}

bool frame_decode(struct frame_decoder *d, uint8_t byte, struct frame *frame) {
    if (byte != 0) {
        if (d->left > 0) {
            put(d, byte);
            d->left--;
        } else {
            if (d->begun && d->code != 0xffu) put(d, 0);
            d->code = byte;
            d->left = (uint8_t)(byte - 1u);
        }
        d->begun = true;
        return false;
    }
    bool whole = d->begun && is_whole(d);
    if (whole) {
        d->whole++;
        frame->type = d->raw[0];
        frame->seq = d->raw[1];
        frame->payload = d->raw + 2;
        frame->length = (uint8_t)(d->length - 4u);
        frame->crc = get16(d->raw + d->length - 2);
    } else if (d->begun) {
        d->damaged++;
    }
    d->length = 0;
    d->left = 0;
    d->begun = false;
    d->overflow = false;
    return whole;
}
