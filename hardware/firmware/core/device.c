/* The device: what time does to it, and what goes over the line. */
#include "device.h"

#include "bytes.h"

#define EVENT_BOOT 0x40u
#define EVENT_ADVERT 0x41u
#define RESPONSE 0x80u
#define HELLO 1u
#define NEEDS_TIME_INTERVAL_MS 2000u
/* A shorter window is not worth a write to flash. */
#define CHECKPOINT_EXPONENT_MIN 10u

static void send_frame(uint8_t type, uint8_t seq, const uint8_t *payload, size_t n) {
    uint8_t wire[FRAME_WIRE_MAX];
    board_send(wire, frame_encode(type, seq, payload, n, wire));
}

static bool is_provisioned(const struct device *d) { return d->settings.number != 0; }

uint8_t device_bits(const struct device *d) {
    unsigned stopped = (d->settings.flags & SETTING_STOPPED) ? 2u : 0u;
    return (uint8_t)((is_provisioned(d) ? 1u : 0u) | stopped | (unsigned)d->air.kind << 2);
}

uint8_t device_air(const struct device *d, uint8_t *out) {
    const struct air *air = &d->air;
    out[0] = (uint8_t)air->kind;
    put32(out + 1, d->clock.now.seconds);
    put32(out + 5, air->kind == AIR_HOST ? d->lease_ms : 0);
    copy_bytes(out + 9, air->address, ADDRESS_BYTES);
    uint8_t n = 15;
    out[n++] = air->data_length;
    copy_bytes(out + n, air->data, air->data_length);
    n = (uint8_t)(n + air->data_length);
    out[n++] = air->scan_length;
    copy_bytes(out + n, air->scan, air->scan_length);
    return (uint8_t)(n + air->scan_length);
}

int8_t device_calibrated(const struct settings *s) {
    if (s->calibrated_dbm != 0x7f) return s->calibrated_dbm;
    return board_calibrated(board_tx_level(s->tx_dbm));
}

static enum air_kind own_kind(const struct device *d) {
    if (!is_provisioned(d) || (d->settings.flags & SETTING_STOPPED)) return AIR_NOTHING;
    return d->clock.confidence == CLOCK_LOST ? AIR_NEEDS_TIME : AIR_EID;
}

/* Non-resolvable (SPEC 8.4): the upper two bits 0, the others neither all 0 nor all 1. */
static void draw_address(uint8_t address[ADDRESS_BYTES]) {
    bool zeros;
    bool ones;
    do {
        board_random(address, ADDRESS_BYTES);
        address[0] &= 0x3fu;
        zeros = address[0] == 0;
        ones = address[0] == 0x3fu;
        for (unsigned i = 1; i < ADDRESS_BYTES; i++) {
            zeros = zeros && address[i] == 0;
            ones = ones && address[i] == 0xffu;
        }
    } while (zeros || ones);
}

void device_refresh(struct device *d) {
    enum air_kind kind = own_kind(d);
    if (d->lease_ms > 0 || (kind == AIR_NOTHING && d->air.kind == AIR_NOTHING)) return;
    const struct settings *s = &d->settings;
    uint32_t window = (kind == AIR_EID ? d->clock.now.seconds : d->clock.uptime.seconds) >> s->exponent;
    bool drawn = d->own.kind == kind && d->own.window == window;
    if (drawn && d->air.kind == kind) return;
    d->air = (struct air){.kind = kind, .interval_ms = NEEDS_TIME_INTERVAL_MS};
    if (kind != AIR_NOTHING) {
        if (!drawn) {
            draw_address(d->own.address);
            d->own.kind = kind;
            d->own.window = window;
            d->drawn++;
        }
        copy_bytes(d->air.address, d->own.address, ADDRESS_BYTES);
        d->air.tx_dbm = board_tx_level(s->tx_dbm);
    }
    if (kind == AIR_EID) {
        uint8_t eid[EID_BYTES];
        eid_at(s->key, d->clock.now.seconds, s->exponent, eid);
        d->air.interval_ms = s->interval_ms;
        d->air.data_length = advert_encode((enum advert_format)s->format, eid, device_calibrated(s), d->air.data);
    } else if (kind == AIR_NEEDS_TIME) {
        d->air.data_length = advert_needs_time(d->air.data);
    }
    board_advertise(&d->air);
    d->air_changed = true;
}

void device_checkpoint(struct device *d) {
    d->checkpoint = (struct checkpoint){d->clock.now.seconds, d->clock.rate};
    if (!checkpoint_store(&d->settings, &d->checkpoint)) d->flash_failures++;
}

static bool checkpoint_is_due(const struct device *d) {
    if (!is_provisioned(d) || d->clock.confidence == CLOCK_LOST) return false;
    uint8_t k = d->settings.exponent < CHECKPOINT_EXPONENT_MIN ? CHECKPOINT_EXPONENT_MIN : d->settings.exponent;
    return d->clock.now.seconds >> k != d->checkpoint.seconds >> k || d->clock.rate != d->checkpoint.rate;
}

void device_pass(struct device *d, uint32_t ms) {
    while (ms > 0) {
        uint32_t step = ms < CLOCK_STEP_MS ? ms : CLOCK_STEP_MS;
        clock_pass(&d->clock, step);
        d->lease_ms -= step < d->lease_ms ? step : d->lease_ms;
        ms -= step;
    }
}

void device_tick(struct device *d) {
    if (d->restarting) return;
    uint32_t now = board_millis();
    device_pass(d, now - d->last_millis);
    d->last_millis = now;
    device_refresh(d); /* first: what is on the air must not be late */
    clock_keep(&d->clock, board_kept_clock());
    if (checkpoint_is_due(d)) device_checkpoint(d);
    if (!d->air_changed) return;
    d->air_changed = false;
    if (!d->session || !d->events) return;
    uint8_t payload[FRAME_PAYLOAD_MAX];
    send_frame(EVENT_ADVERT, d->event_seq++, payload, device_air(d, payload));
}

uint32_t device_due_ms(const struct device *d) {
    uint32_t due = 1000u - d->clock.now.ms; /* windows change with the second */
    if (d->lease_ms > 0 && d->lease_ms < due) due = d->lease_ms;
    return due;
}

void device_start(struct device *d) {
    const struct board_facts *facts = board_facts();
    *d = (struct device){0};
    d->last_millis = board_millis();
    settings_load(&d->settings, &d->checkpoint);
    d->clock.rate = d->checkpoint.rate;
    bool kept = facts->reset_reason != RESET_POWER && clock_take_kept(&d->clock, board_kept_clock());
    if (!kept && is_provisioned(d) && (d->settings.flags & SETTING_RESUME) && d->checkpoint.seconds != 0)
        clock_set(&d->clock, d->checkpoint.seconds, 0, CLOCK_RESUMED);
    clock_keep(&d->clock, board_kept_clock());
    device_refresh(d);
    d->air_changed = false;
    uint8_t payload[7];
    put32(payload, facts->boot_id);
    payload[4] = (uint8_t)facts->reset_reason;
    payload[5] = (uint8_t)d->clock.confidence;
    payload[6] = device_bits(d);
    send_frame(EVENT_BOOT, d->event_seq++, payload, sizeof payload);
}

static bool is_repeat(const struct device *d, const struct frame *f) {
    const struct answered *a = &d->answered;
    return a->valid && f->type == a->type && f->seq == a->seq && f->crc == a->crc && f->type != HELLO;
}

void device_byte(struct device *d, uint8_t byte) {
    struct frame frame;
    if (d->restarting || !frame_decode(&d->decoder, byte, &frame)) return;
    if (frame.type == 0 || frame.type >= EVENT_BOOT) return;
    device_tick(d); /* the request meets the present */
    if (is_repeat(d, &frame)) {
        d->repeats++;
    } else {
        command_run(d, &frame);
        d->answered.type = frame.type;
        d->answered.seq = frame.seq;
        d->answered.crc = frame.crc;
    }
    send_frame((uint8_t)(frame.type | RESPONSE), frame.seq, d->answered.reply, d->answered.length);
    if (d->restarting) board_reset();
    else device_tick(d);
}
