/* Loss of power in every single write and erase of every change of settings: afterwards there are the old settings or the new
 * ones, never neither, and never an old key beside a new one. */
#include "../core/bytes.h"
#include "../core/device.h"
#include "fake-board.h"
#include "report.h"

static struct device device;
static uint8_t seq;

static uint8_t request(uint8_t type, const uint8_t *payload, size_t n) {
    uint8_t wire[FRAME_WIRE_MAX];
    size_t length = frame_encode(type, ++seq, payload, n, wire);
    fake_sent_count = 0;
    for (size_t i = 0; i < length; i++) device_byte(&device, wire[i]);
    return fake_sent_count > 0 ? fake_sent[0].bytes[2] : 0xff;
}

static void restart(void) {
    static const uint8_t HELLO[7] = {1, 1, 0, 1, 2, 3, 4};
    fake_restart(RESET_POWER);
    device_start(&device);
    (void)request(1, HELLO, sizeof HELLO);
}

/* Settings that say throughout which ones they are. */
static uint8_t provision(uint8_t which) {
    uint8_t payload[37] = {0};
    for (unsigned i = 0; i < BEACON_KEY_BYTES; i++) payload[i] = (uint8_t)(which + i);
    payload[16] = 10;
    payload[18] = 3;
    payload[20] = 0x7f;
    put16(payload + 21, 1000);
    put32(payload + 23, 1790000000u + which);
    for (unsigned i = 0; i < LABEL_BYTES; i++) payload[29 + i] = which;
    return request(2, payload, sizeof payload);
}

static bool flash_holds_key(uint8_t which) {
    for (unsigned page = 0; page < 2; page++)
        for (unsigned word = 0; word + 4 <= FLASH_PAGE_BYTES / 4; word++) {
            uint8_t bytes[BEACON_KEY_BYTES];
            bool same = true;
            for (size_t i = 0; i < 4; i++) put32(bytes + 4 * i, fake_flash[page][word + i]);
            for (unsigned i = 0; i < BEACON_KEY_BYTES; i++) same = same && bytes[i] == (uint8_t)(which + i);
            if (same) return true;
        }
    return false;
}

static bool settings_are(uint8_t which) {
    const struct settings *s = &device.settings;
    bool same = s->number != 0 && s->exponent == 10 && s->interval_ms == 1000;
    for (unsigned i = 0; i < BEACON_KEY_BYTES; i++) same = same && s->key[i] == (uint8_t)(which + i);
    for (unsigned i = 0; i < LABEL_BYTES; i++) same = same && s->label[i] == which;
    return same;
}

enum change { PROVISION, STOP, ERASE, CHECKPOINTS, RATE, CHANGES };

static void make(enum change change) {
    static const uint8_t MAGIC[4] = {0x45, 0x52, 0x41, 0x53};
    uint8_t time[9] = {0};
    switch (change) {
    case PROVISION: (void)provision(0x80); break;
    case STOP: (void)request(3, MAGIC, 0); break;
    case ERASE: (void)request(5, MAGIC, 4); break;
    case CHECKPOINTS:
        for (unsigned i = 0; i < 150; i++) { /* over two page changes */
            fake_pass(1024000);
            device_tick(&device);
        }
        break;
    case RATE:
        put32(time, 1790000020u);
        time[7] = 77;
        (void)request(6, time, sizeof time);
        break;
    case CHANGES: break;
    }
}

enum weakness { NONE, FADES_BEFORE_THE_NEXT, FADES_AFTER_THE_NEXT };

/* weak: the operation that the power fails in is done as it seems, and yet not for long.
 * Returns how many writes and erases it took, if it came to its end. */
static int32_t cut(enum change change, unsigned before, int32_t at, enum weakness weak) {
    fake_new();
    restart();
    for (unsigned i = 0; i <= before; i++) (void)provision((uint8_t)(0x10 + i));
    uint8_t old = (uint8_t)(0x10 + before);
    fake_power = at;
    fake_weak = weak != NONE;
    make(change);
    int32_t left = fake_power;
    bool all = left > 0;
    restart();
    bool is_old = settings_are(old);
    bool is_new = change == PROVISION ? settings_are(0x80) : change == ERASE ? device.settings.number == 0 : is_old;
    check(is_old || is_new, "after a cut", "neither old nor new", (unsigned)at);
    if (all) check(is_new, "without a cut", "not done", (unsigned)at);
    if (is_new && !is_old) check(!flash_holds_key(old), "after a cut", "the old key is still there", (unsigned)at);
    if (before > 0) check(!flash_holds_key(0x10), "after a cut", "a key before the old one is there", (unsigned)at);
    if (device.settings.number != 0) {
        check(device.checkpoint.seconds >= 1790000000u + old, "after a cut", "the clock went back", (unsigned)at);
        /* A checkpoint that was cut off is blank flash: far in the future. */
        check(device.checkpoint.seconds < 1790000000u + 200000u, "after a cut", "the clock went ahead", (unsigned)at);
        check(device.clock.confidence == CLOCK_RESUMED, "after a cut", "no clock", (unsigned)at);
    }
    if (weak == FADES_BEFORE_THE_NEXT) { /* what was found is there for good */
        fake_decay();
        restart();
        bool held = is_old ? settings_are(old) : change == PROVISION ? settings_are(0x80) : device.settings.number == 0;
        check(held, "long after a cut", "neither old nor new", (unsigned)at);
    }
    check(provision(0xc0) == 0 && settings_are(0xc0), "after a cut", "the next write failed", (unsigned)at);
    fake_decay();
    restart();
    check(settings_are(0xc0), "after a cut", "the next write was lost", (unsigned)at);
    check(!flash_holds_key(old) && !flash_holds_key(0x80), "after the next write", "an old key is there", (unsigned)at);
    return at - left;
}

/* Flash that cannot be erased any more can still be written: no key stays that is not in force. */
static void wear_out(void) {
    static const uint8_t MAGIC[4] = {0x45, 0x52, 0x41, 0x53};
    fake_new();
    restart();
    (void)provision(0x10);
    fake_worn = true;
    check(provision(0x80) == 0 && settings_are(0x80), "worn", "the page that was free is written", 0);
    check(!flash_holds_key(0x10), "worn", "the old key is still there", 0);
    restart();
    check(settings_are(0x80), "worn", "lost", 0);
    check(provision(0xc0) == 5 && settings_are(0x80), "worn", "not refused", 0);
    check(!flash_holds_key(0xc0), "worn", "a key that was refused is there", 0);
    check(request(5, MAGIC, 4) == 0 && device.settings.number == 0, "worn", "not taken off", 0);
    check(!flash_holds_key(0x80), "worn", "the key is still there", 0);
    restart();
    check(device.settings.number == 0 && fake_air.kind == AIR_NOTHING, "worn", "back again", 0);
}

unsigned run_checks(void) {
    wear_out();
    for (unsigned change = PROVISION; change < CHANGES; change++)
        for (unsigned before = 0; before < 2; before++) {
            int32_t steps = cut((enum change)change, before, 100000, NONE);
            check(steps >= 1, "a change", "writes nothing", change);
            for (int32_t at = 1; at <= steps; at++) {
                (void)cut((enum change)change, before, at, NONE);
                (void)cut((enum change)change, before, at, FADES_BEFORE_THE_NEXT);
                (void)cut((enum change)change, before, at, FADES_AFTER_THE_NEXT);
            }
        }
    return report();
}
