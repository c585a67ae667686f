/* The shared vectors against the core: on the host, and in emulation on Cortex-M0 and M4. Needs no C library. */
#include "vectors.h"

#include "../core/bytes.h"
#include "../core/crc.h"
#include "../core/device.h"
#include "fake-board.h"
#include "report.h"

#define COUNT(table) (sizeof(table) / sizeof(table)[0])

static struct device device;

static void check_checksums(void) {
    for (unsigned i = 0; i < COUNT(vectors_crc16); i++)
        check(crc16(vectors_crc16[i].data.bytes, vectors_crc16[i].data.length) == vectors_crc16[i].crc, "crc16", "", i);
    for (unsigned i = 0; i < COUNT(vectors_crc32); i++)
        check(crc32(vectors_crc32[i].data.bytes, vectors_crc32[i].data.length) == vectors_crc32[i].crc, "crc32", "", i);
}

static void check_frames(void) {
    static uint8_t out[520];
    for (unsigned i = 0; i < COUNT(vectors_cobs); i++) {
        const struct vector_pair *v = &vectors_cobs[i];
        size_t n = cobs_encode(v->data.bytes, v->data.length, out);
        check(n == v->encoded.length && same_bytes(out, v->encoded.bytes, n), "cobs", "", i);
    }
    for (unsigned i = 0; i < COUNT(vectors_frames); i++) {
        const struct vector_frame *v = &vectors_frames[i];
        struct frame_decoder decoder = {0};
        struct frame frame = {0};
        size_t n = frame_encode(v->type, v->seq, v->payload.bytes, v->payload.length, out);
        check(n == v->wire.length && same_bytes(out, v->wire.bytes, n), "frame encoded", v->name, i);
        bool whole = false;
        for (unsigned j = 0; j < v->wire.length; j++) whole = frame_decode(&decoder, v->wire.bytes[j], &frame);
        bool same = whole && frame.type == v->type && frame.seq == v->seq && frame.length == v->payload.length;
        check(same && same_bytes(frame.payload, v->payload.bytes, frame.length), "frame decoded", v->name, i);
        /* Every single wrong bit is noticed. */
        for (unsigned bit = 8; bit < 8 * (v->wire.length - 1); bit++) {
            struct frame_decoder d = {0};
            for (unsigned j = 0; j < v->wire.length; j++) {
                unsigned wrong = j == bit / 8 ? 1u << bit % 8 : 0;
                (void)frame_decode(&d, (uint8_t)(v->wire.bytes[j] ^ wrong), &frame);
            }
            check(d.whole == 0, "one wrong bit", v->name, bit);
        }
    }
    for (unsigned i = 0; i < COUNT(vectors_no_frames); i++) {
        struct frame_decoder decoder = {0};
        struct frame frame;
        for (unsigned j = 0; j < vectors_no_frames[i].wire.length; j++)
            (void)frame_decode(&decoder, vectors_no_frames[i].wire.bytes[j], &frame);
        check(decoder.whole == 0, "no frame", vectors_no_frames[i].why, i);
    }
}

static void check_adverts(void) {
    uint8_t eid[EID_BYTES];
    uint8_t out[ADVERT_MAX];
    for (unsigned i = 0; i < COUNT(vectors_eids); i++) {
        const struct vector_eid *v = &vectors_eids[i];
        eid_at(v->key.bytes, v->seconds, v->exponent, eid);
        check(same_bytes(eid, v->eid.bytes, EID_BYTES), "eid", "", i);
    }
    for (unsigned i = 0; i < COUNT(vectors_adverts); i++) {
        const struct vector_advert *v = &vectors_adverts[i];
        eid_at(v->key.bytes, v->seconds, v->exponent, eid);
        uint8_t n = advert_encode((enum advert_format)v->format, eid, v->calibrated_dbm, out);
        check(n == v->data.length && same_bytes(out, v->data.bytes, n), "advert", "", i);
    }
    uint8_t n = advert_needs_time(out);
    check(n == vectors_needs_time.length && same_bytes(out, vectors_needs_time.bytes, n), "needs time", "", 0);
}

static void take_step(const struct vector_step *step) {
    uint8_t wire[FRAME_WIRE_MAX];
    bool asked = fake_reset_asked;
    fake_sent_count = 0;
    switch (step->kind) {
    case STEP_SEND: {
        const uint8_t *frame = step->frame.bytes;
        size_t n = frame_encode(frame[0], frame[1], frame + 2, step->frame.length - 2, wire);
        for (size_t i = 0; i < n; i++) device_byte(&device, wire[i]);
        break;
    }
    case STEP_MS:
        fake_pass(step->ms);
        device_tick(&device);
        break;
    case STEP_POWER:
    case STEP_RESET:
        if (step->first) fake_new();
        fake_restart(step->kind == STEP_POWER ? RESET_POWER : asked ? RESET_ASKED : RESET_PIN);
        device_start(&device);
        break;
    }
}

static void check_sessions(void) {
    unsigned said = 0;
    for (unsigned i = 0; i < COUNT(vectors_steps); i++) {
        const struct vector_step *step = &vectors_steps[i];
        take_step(step);
        check(fake_sent_count == step->says, step->session, step->why, i);
        for (unsigned j = 0; j < step->says; j++, said++) {
            const struct vector_bytes *expected = &vectors_said[said].frame;
            const struct fake_sent *sent = &fake_sent[j];
            bool same = j < fake_sent_count && sent->length == expected->length;
            check(same && same_bytes(sent->bytes, expected->bytes, expected->length), step->session, step->why, i);
        }
    }
    check(fake_sent_damaged == 0, "what the device sends", "is whole", fake_sent_damaged);
}

unsigned run_checks(void) {
    check_checksums();
    check_frames();
    check_adverts();
    check_sessions();
    return report();
}
