/* The requests of the companion protocol (COMPANION.md 4 to 7). Each checks its whole payload before it changes anything. */
#include "bytes.h"
#include "device.h"

enum status {
    STATUS_OK = 0,
    STATUS_UNKNOWN,
    STATUS_LENGTH,
    STATUS_RANGE,
    STATUS_STATE,
    STATUS_FLASH,
    STATUS_SESSION,
    STATUS_VERSION,
    STATUS_TIME,
};

#define PROTOCOL_VERSION 1u
/* 2026-01-01: there was no such firmware before. */
#define EARLIEST_SECONDS 1767225600u
#define CHECKPOINT_TOLERANCE_SECONDS 86400u
#define NEVER 0xffffffffu
#define LEAVE_RATE 0x7fff
#define DEFAULT_POWER 0x7f
#define ADVANCE_MAX_SECONDS 31536000u
#define LEASE_MAX_MS 3600000u
#define PROVISION_BYTES 37u
#define ADVERTISE_BYTES_MIN 16u

/* Where a request's answer goes, behind its status. */
struct answer {
    uint8_t *bytes;
    uint8_t length;
};

typedef enum status (*command)(struct device *, const struct frame *, struct answer *);

static enum status refuse(struct answer *a, uint8_t offset) {
    a->bytes[0] = offset;
    a->length = 1;
    return STATUS_RANGE;
}

/* STATUS_TIME if the time is implausible, with the earliest accepted one. */
static enum status check_time(const struct device *d, uint32_t seconds, bool force, struct answer *a) {
    uint32_t earliest = EARLIEST_SECONDS;
    uint32_t stored = d->checkpoint.seconds;
    if (stored > earliest && stored - earliest > CHECKPOINT_TOLERANCE_SECONDS)
        earliest = stored - CHECKPOINT_TOLERANCE_SECONDS;
    if (force || seconds >= earliest) return STATUS_OK;
    put32(a->bytes, earliest);
    a->length = 4;
    return STATUS_TIME;
}

static enum status hello(struct device *d, const struct frame *f, struct answer *a) {
    const uint8_t *p = f->payload;
    if (f->length < 7) return STATUS_LENGTH;
    const struct board_facts *facts = board_facts();
    bool common = p[0] <= PROTOCOL_VERSION && p[1] >= PROTOCOL_VERSION;
    a->bytes[0] = common ? PROTOCOL_VERSION : 0;
    a->bytes[1] = PROTOCOL_VERSION;
    a->bytes[2] = PROTOCOL_VERSION;
    a->bytes[3] = FRAME_PAYLOAD_MAX;
    put16(a->bytes + 4, facts->capabilities);
    put32(a->bytes + 6, facts->boot_id);
    copy_bytes(a->bytes + 10, p + 3, 4);
    a->length = 14;
    d->session = common;
    d->events = (p[2] & 1u) != 0;
    return common ? STATUS_OK : STATUS_VERSION;
}

/* Offset of the first field of PROVISION that is out of range, or 0. */
static uint8_t check_settings(const uint8_t *p) {
    int8_t tx = (int8_t)p[19];
    int8_t calibrated = (int8_t)p[20];
    uint16_t interval = get16(p + 21);
    if (p[16] > EXPONENT_MAX) return 16;
    if (p[17] > FORMAT_EDDYSTONE) return 17;
    if (p[18] > 3) return 18;
    if (tx < -40 || tx > 20) return 19;
    if (calibrated != DEFAULT_POWER && (calibrated < -100 || calibrated > 20)) return 20;
    if (interval < 100 || interval > 10240) return 21;
    return get16(p + 27) > 999 ? 27 : 0;
}

static enum status provision(struct device *d, const struct frame *f, struct answer *a) {
    const uint8_t *p = f->payload;
    uint8_t wrong = check_settings(p);
    if (wrong != 0) return refuse(a, wrong);
    uint32_t seconds = get32(p + 23);
    enum status status = check_time(d, seconds, (p[18] & 2u) != 0, a);
    if (status != STATUS_OK) return status;
    struct settings next = {
        .number = d->settings.number + 1,
        .interval_ms = get16(p + 21),
        .flags = p[18] & SETTING_RESUME,
        .exponent = p[16],
        .format = p[17],
        .tx_dbm = (int8_t)p[19],
        .calibrated_dbm = (int8_t)p[20],
    };
    copy_bytes(next.key, p, BEACON_KEY_BYTES);
    copy_bytes(next.label, p + 29, LABEL_BYTES);
    struct checkpoint checkpoint = {seconds, d->clock.rate};
    bool stored = settings_store(&next, &checkpoint);
    if (stored) {
        d->settings = next;
        d->checkpoint = checkpoint;
        d->own.kind = AIR_NOTHING;
        if (d->air.kind != AIR_HOST) d->air.kind = AIR_NOTHING;
        clock_set(&d->clock, seconds, get16(p + 27), CLOCK_SET);
        put32(a->bytes, next.number);
        put32(a->bytes + 4, seconds);
        eid_at(next.key, seconds, next.exponent, a->bytes + 8);
        a->length = 16;
    } else {
        d->flash_failures++;
    }
    wipe_bytes(next.key, sizeof next.key);
    return stored ? STATUS_OK : STATUS_FLASH;
}

static enum status set_stopped(struct device *d, bool stopped) {
    if (d->settings.number == 0) return STATUS_STATE;
    if (((d->settings.flags & SETTING_STOPPED) != 0) == stopped) return STATUS_OK;
    struct settings next = d->settings;
    next.number++;
    next.flags ^= SETTING_STOPPED;
    struct checkpoint checkpoint = d->checkpoint;
    if (d->clock.confidence != CLOCK_LOST) checkpoint = (struct checkpoint){d->clock.now.seconds, d->clock.rate};
    bool stored = settings_store(&next, &checkpoint);
    if (stored) {
        d->settings = next;
        d->checkpoint = checkpoint;
    } else {
        d->flash_failures++;
    }
    wipe_bytes(next.key, sizeof next.key);
    return stored ? STATUS_OK : STATUS_FLASH;
}

static enum status stop(struct device *d, const struct frame *f, struct answer *a) {
    (void)f;
    (void)a;
    return set_stopped(d, true);
}

static enum status start(struct device *d, const struct frame *f, struct answer *a) {
    (void)f;
    (void)a;
    return set_stopped(d, false);
}

static enum status erase(struct device *d, const struct frame *f, struct answer *a) {
    if (get32(f->payload) != 0x45524153u) return refuse(a, 0);
    if (!settings_erase()) {
        d->flash_failures++;
        return STATUS_FLASH;
    }
    wipe_bytes(d->settings.key, sizeof d->settings.key);
    d->settings = (struct settings){0};
    d->checkpoint = (struct checkpoint){0};
    d->own.kind = AIR_NOTHING;
    clock_lose(&d->clock);
    return STATUS_OK;
}

static uint32_t since_set(const struct clock *c) { return c->ever_set ? c->since_set.seconds : NEVER; }

static enum status set_time(struct device *d, const struct frame *f, struct answer *a) {
    const uint8_t *p = f->payload;
    struct clock *c = &d->clock;
    uint32_t seconds = get32(p);
    int16_t rate = (int16_t)get16(p + 6);
    if (get16(p + 4) > 999) return refuse(a, 4);
    if (rate != LEAVE_RATE && (rate < -RATE_MAX || rate > RATE_MAX)) return refuse(a, 6);
    if (p[8] > 1) return refuse(a, 8);
    enum status status = check_time(d, seconds, p[8] == 1, a);
    if (status != STATUS_OK) return status;
    put32(a->bytes, c->now.seconds);
    put16(a->bytes + 4, (uint16_t)c->now.ms);
    a->bytes[6] = (uint8_t)c->confidence;
    put32(a->bytes + 7, since_set(c));
    if (rate != LEAVE_RATE) c->rate = rate;
    put16(a->bytes + 11, (uint16_t)c->rate);
    a->length = 13;
    clock_set(c, seconds, get16(p + 4), CLOCK_SET);
    return STATUS_OK;
}

static enum status status_of(struct device *d, const struct frame *f, struct answer *a) {
    (void)f;
    const struct settings *s = &d->settings;
    const struct clock *c = &d->clock;
    struct radio_counters radio = board_radio_counters();
    uint8_t *out = a->bytes;
    a->length = 71;
    clear_bytes(out, a->length);
    out[0] = device_bits(d);
    out[1] = (uint8_t)c->confidence;
    put32(out + 2, c->now.seconds);
    put16(out + 6, (uint16_t)c->now.ms);
    put32(out + 8, since_set(c));
    put16(out + 12, (uint16_t)c->rate);
    put32(out + 14, c->uptime.seconds);
    put16(out + 18, board_battery_mv());
    if (s->number != 0) {
        copy_bytes(out + 20, s->label, LABEL_BYTES);
        put32(out + 28, s->number);
        out[32] = s->exponent;
        out[33] = s->format;
        out[34] = s->flags & SETTING_RESUME;
        out[35] = (uint8_t)board_tx_level(s->tx_dbm);
        out[36] = (uint8_t)device_calibrated(s);
        put16(out + 37, s->interval_ms);
    }
    const uint32_t counters[8] = {d->decoder.whole, d->decoder.damaged, d->repeats, board_lost_bytes(),
                                  radio.events,     radio.faults,       d->drawn,   d->flash_failures};
    for (size_t i = 0; i < 8; i++) put32(out + 39 + 4 * i, counters[i]);
    return STATUS_OK;
}

static enum status identity(struct device *d, const struct frame *f, struct answer *a) {
    (void)d;
    (void)f;
    const struct board_facts *facts = board_facts();
    a->bytes[0] = FIRMWARE_MAJOR;
    a->bytes[1] = FIRMWARE_MINOR;
    a->bytes[2] = FIRMWARE_PATCH;
    put32(a->bytes + 3, facts->image_crc);
    copy_bytes(a->bytes + 7, facts->device_id, DEVICE_ID_BYTES);
    copy_bytes(a->bytes + 15, facts->name, BOARD_NAME_BYTES);
    a->length = 35;
    return STATUS_OK;
}

static enum status advert(struct device *d, const struct frame *f, struct answer *a) {
    (void)f;
    a->length = device_air(d, a->bytes);
    return STATUS_OK;
}

static bool is_random_address(const uint8_t *address) {
    uint8_t top = address[0] & 0x3fu;
    bool zeros = top == 0;
    bool ones = top == 0x3fu;
    for (unsigned i = 1; i < ADDRESS_BYTES; i++) {
        zeros = zeros && address[i] == 0;
        ones = ones && address[i] == 0xffu;
    }
    return (address[0] & 0xc0u) != 0x80u && !zeros && !ones;
}

static enum status advertise(struct device *d, const struct frame *f, struct answer *a) {
    const uint8_t *p = f->payload;
    if (f->length < ADVERTISE_BYTES_MIN) return STATUS_LENGTH;
    uint8_t n = p[14];
    if ((unsigned)n + ADVERTISE_BYTES_MIN > f->length) return STATUS_LENGTH;
    const uint8_t *scan = p + ADVERTISE_BYTES_MIN - 1 + n;
    if ((unsigned)n + scan[0] + ADVERTISE_BYTES_MIN != f->length) return STATUS_LENGTH;
    uint16_t interval = get16(p + 1);
    int8_t tx = (int8_t)p[3];
    uint32_t lease = get32(p + 4);
    bool scannable = (p[0] & 1u) != 0;
    if (p[0] > 1 || (scannable && !(board_facts()->capabilities & CAN_SCAN_RESPONSE))) return refuse(a, 0);
    if (interval < 20 || interval > 10240) return refuse(a, 1);
    if (tx != DEFAULT_POWER && (tx < -40 || tx > 20)) return refuse(a, 3);
    if (lease < 1 || lease > LEASE_MAX_MS) return refuse(a, 4);
    if (!is_random_address(p + 8)) return refuse(a, 8);
    if (n > ADVERT_MAX) return refuse(a, 14);
    if (scan[0] > ADVERT_MAX || (scan[0] > 0 && !scannable)) return refuse(a, (uint8_t)(15u + n));
    d->air = (struct air){
        .kind = AIR_HOST,
        .interval_ms = interval,
        .tx_dbm = board_tx_level((int8_t)(tx == DEFAULT_POWER ? 0 : tx)),
        .scannable = scannable,
        .data_length = n,
        .scan_length = scan[0],
    };
    copy_bytes(d->air.address, p + 8, ADDRESS_BYTES);
    copy_bytes(d->air.data, p + 15, n);
    copy_bytes(d->air.scan, scan + 1, scan[0]);
    d->lease_ms = lease;
    board_advertise(&d->air);
    return STATUS_OK;
}

static enum status silence(struct device *d, const struct frame *f, struct answer *a) {
    (void)f;
    (void)a;
    d->lease_ms = 0;
    if (d->air.kind == AIR_HOST) {
        device_refresh(d);
        d->air_changed = false;
    }
    return STATUS_OK;
}

static enum status reset(struct device *d, const struct frame *f, struct answer *a) {
    if (get32(f->payload) != 0x52534554u) return refuse(a, 0);
    d->restarting = true;
    return STATUS_OK;
}

static enum status echo(struct device *d, const struct frame *f, struct answer *a) {
    (void)d;
    if (f->length > FRAME_PAYLOAD_MAX - 1) return STATUS_LENGTH;
    copy_bytes(a->bytes, f->payload, f->length);
    a->length = f->length;
    return STATUS_OK;
}

static enum status advance(struct device *d, const struct frame *f, struct answer *a) {
    uint32_t seconds = get32(f->payload);
    if (seconds > ADVANCE_MAX_SECONDS) return refuse(a, 0);
    for (; seconds >= 1000; seconds -= 1000) device_pass(d, CLOCK_STEP_MS);
    device_pass(d, seconds * 1000);
    return STATUS_OK;
}

#define ANY_LENGTH 0xffu
#define COMMANDS 15u

static const struct {
    command run;
    uint16_t needs; /* capability, or 0 */
    uint8_t length;
} TABLE[COMMANDS] = {
    [1] = {hello, 0, ANY_LENGTH},           [2] = {provision, CAN_BEACON, PROVISION_BYTES},
    [3] = {stop, CAN_BEACON, 0},            [4] = {start, CAN_BEACON, 0},
    [5] = {erase, CAN_BEACON, 4},           [6] = {set_time, 0, 9},
    [7] = {status_of, 0, 0},                [8] = {identity, 0, 0},
    [9] = {advert, 0, 0},                   [10] = {advertise, CAN_RADIO, ANY_LENGTH},
    [11] = {silence, CAN_RADIO, 0},         [12] = {reset, 0, 4},
    [13] = {echo, 0, ANY_LENGTH},           [14] = {advance, CAN_ADVANCE, 4},
};

static enum status run(struct device *d, const struct frame *f, struct answer *a) {
    if (f->type != 1 && !d->session) return STATUS_SESSION;
    if (f->type >= COMMANDS || TABLE[f->type].run == NULL) return STATUS_UNKNOWN;
    uint16_t needs = TABLE[f->type].needs;
    if ((board_facts()->capabilities & needs) != needs) return STATUS_UNKNOWN;
    if (TABLE[f->type].length != ANY_LENGTH && TABLE[f->type].length != f->length) return STATUS_LENGTH;
    return TABLE[f->type].run(d, f, a);
}

void command_run(struct device *d, const struct frame *f) {
    struct answer answer = {d->answered.reply + 1, 0};
    d->answered.reply[0] = (uint8_t)run(d, f, &answer);
    d->answered.length = (uint8_t)(answer.length + 1u);
    d->answered.valid = d->session && f->type != 1;
}
