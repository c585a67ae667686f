/* The device's clock: unix time with its confidence, corrected for the speed of its crystal (COMPANION.md 6). */
#ifndef RDV_CLOCK_H
#define RDV_CLOCK_H
#include <stdbool.h>
#include <stdint.h>

#include "board.h"

enum clock_confidence { CLOCK_LOST = 0, CLOCK_RESUMED, CLOCK_KEPT, CLOCK_SET };

#define RATE_MAX 1000
/* The longest step of clock_pass: its correction fits 32 bits. */
#define CLOCK_STEP_MS 1000000u

/* Whole seconds and the milliseconds beyond them. */
struct span {
    uint32_t seconds;
    uint32_t ms;
};

struct clock {
    struct span now; /* unix time; 0 while it is lost */
    struct span since_set;
    struct span uptime;
    int32_t correction; /* millionths of a millisecond that the rate has not yet made good */
    int16_t rate;       /* ppm */
    bool ever_set;
    enum clock_confidence confidence;
};

/* ms <= CLOCK_STEP_MS. */
void clock_pass(struct clock *clock, uint32_t ms);
void clock_set(struct clock *clock, uint32_t seconds, uint32_t ms, enum clock_confidence confidence);
void clock_lose(struct clock *clock);

/* What a reset shall find, and what it finds; false: nothing that can be believed. */
void clock_keep(const struct clock *clock, struct kept_clock *kept);
bool clock_take_kept(struct clock *clock, const struct kept_clock *kept);
#endif
