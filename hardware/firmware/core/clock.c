/* The device's clock. */
#include "clock.h"

#include "bytes.h"
#include "crc.h"

static void add(struct span *span, uint32_t ms) {
    span->ms += ms;
    span->seconds += span->ms / 1000u;
    span->ms %= 1000u;
}

void clock_pass(struct clock *c, uint32_t ms) {
    add(&c->uptime, ms);
    if (c->ever_set) add(&c->since_set, ms);
    if (c->confidence == CLOCK_LOST) return;
    c->correction += (int32_t)ms * c->rate;
    int32_t whole = c->correction / 1000000;
    c->correction %= 1000000;
    add(&c->now, (uint32_t)((int32_t)ms + whole));
}

void clock_set(struct clock *c, uint32_t seconds, uint32_t ms, enum clock_confidence confidence) {
    c->now = (struct span){seconds, ms};
    c->correction = 0;
    c->confidence = confidence;
    if (confidence != CLOCK_SET) return;
    c->since_set = (struct span){0, 0};
    c->ever_set = true;
}

void clock_lose(struct clock *c) {
    c->now = (struct span){0, 0};
    c->since_set = (struct span){0, 0};
    c->correction = 0;
    c->rate = 0;
    c->ever_set = false;
    c->confidence = CLOCK_LOST;
}

static uint16_t check_of(const struct kept_clock *kept) {
    uint8_t bytes[14];
    put32(bytes, kept->seconds);
    put32(bytes + 4, kept->since_set);
    put16(bytes + 8, kept->ms);
    put16(bytes + 10, (uint16_t)kept->rate);
    bytes[12] = kept->known;
    bytes[13] = kept->ever_set;
    return crc16(bytes, sizeof bytes);
}

void clock_keep(const struct clock *c, struct kept_clock *kept) {
    kept->seconds = c->now.seconds;
    kept->ms = (uint16_t)c->now.ms;
    kept->since_set = c->since_set.seconds;
    kept->rate = c->rate;
    kept->known = c->confidence != CLOCK_LOST;
    kept->ever_set = c->ever_set;
    kept->check = check_of(kept);
}

bool clock_take_kept(struct clock *c, const struct kept_clock *kept) {
    if (kept->check != check_of(kept) || kept->known != 1 || kept->ms > 999 || kept->ever_set > 1) return false;
    if (kept->rate < -RATE_MAX || kept->rate > RATE_MAX) return false;
    c->rate = kept->rate;
    clock_set(c, kept->seconds, kept->ms, CLOCK_KEPT);
    c->since_set = (struct span){kept->since_set, 0};
    c->ever_set = kept->ever_set == 1;
    return true;
}
