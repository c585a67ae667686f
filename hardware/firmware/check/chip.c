/* The micro:bit's own sources on the model of its chip: what goes out by radio and when, what the clock does in an hour, what
 * happens when a part of the chip does not work. `chip NAME` runs one story; a chip starts once per process. */
#include <stdio.h>
#include <string.h>

#include "../core/bytes.h"
#include "../core/frame.h"
#include "../core/advert.h"
#include "nrf51.h"
#include "report.h"

#define SECOND UINT64_C(1000000)
#define T 1790000000u

int firmware_main(void);
const uint8_t model_image[64] = {'i', 'm', 'a', 'g', 'e'};

void print(const char *text) { (void)fputs(text, stdout); }

/* ---- a host on the line: one request after another, each as its story says ---- */

static const uint8_t KEY[BEACON_KEY_BYTES] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16};
static void (*next_step)(void);
static unsigned step;
static uint8_t answer[FRAME_PAYLOAD_MAX];
static unsigned answers;
static uint8_t seq;
static uint8_t asked_type;
static uint64_t asked_at;
static uint64_t slowest_us;
static size_t taken;
static struct frame_decoder decoder;

static void listen(void) {
    while (taken < nrf51_said_length) {
        struct frame frame;
        if (!frame_decode(&decoder, nrf51_said[taken++], &frame) || frame.type != (asked_type | 0x80u) || frame.seq != seq)
            continue;
        copy_bytes(answer, frame.payload, frame.length);
        uint64_t took = nrf51_now_us() - asked_at;
        if (took > slowest_us) slowest_us = took;
        answers++;
        taken = nrf51_said_length = 0;
        next_step();
        return;
    }
    nrf51_at(nrf51_now_us() + 500, listen);
}

static void ask(uint8_t type, const uint8_t *payload, size_t n) {
    uint8_t wire[FRAME_WIRE_MAX];
    size_t length = frame_encode(type, ++seq, payload, n, wire);
    asked_type = type;
    asked_at = nrf51_now_us() + length * 87u; /* its last bit */
    taken = nrf51_said_length = 0;
    nrf51_type(wire, length);
    nrf51_at(nrf51_now_us() + 500, listen);
}

static void hello(void) {
    static const uint8_t PAYLOAD[7] = {1, 1, 0, 9, 9, 9, 9};
    ask(1, PAYLOAD, sizeof PAYLOAD);
}

static uint32_t begin_at = T;

static void provision(int tx_dbm, uint16_t interval_ms) {
    uint8_t payload[37] = {0};
    copy_bytes(payload, KEY, sizeof KEY);
    payload[16] = 10;
    payload[19] = (uint8_t)tx_dbm;
    payload[20] = 0x7f;
    put16(payload + 21, interval_ms);
    put32(payload + 23, begin_at);
    ask(2, payload, sizeof payload);
}

static void pause_ms(uint64_t ms) { nrf51_at(nrf51_now_us() + 1000 * ms, next_step); }

static bool has_run(void (*story)(void), uint64_t us) {
    next_step = story;
    nrf51_at(SECOND / 5, story);
    bool restarted = nrf51_run(firmware_main, us);
    if (nrf51_fault != NULL) {
        print(nrf51_fault);
        print("\n");
    }
    check(nrf51_faults == 0, "the manual", "allows it", nrf51_faults);
    check(nrf51_overruns == 0, "bytes of the line", "all come in", nrf51_overruns);
    check(slowest_us < 150000, "answers", "within 150 ms", (unsigned)slowest_us);
    return restarted;
}

static const struct nrf51_packet *packet(uint64_t n) { return &nrf51_packets[n % NRF51_PACKETS]; }
static uint64_t oldest(void) { return nrf51_sent > NRF51_PACKETS ? nrf51_sent - NRF51_PACKETS : 0; }

/* ---- a beacon ---- */

static void beacon_story(void) {
    switch (step++) {
    case 0: check(nrf51_sent == 0, "unprovisioned", "silent", 0); hello(); break;
    case 1: provision(-4, 100); break;
    default: break;
    }
}

static void beacon(void) {
    uint8_t eid[EID_BYTES];
    uint8_t data[ADVERT_MAX];
    (void)has_run(beacon_story, 3 * SECOND);
    check(answers == 2 && answer[0] == 0, "provisioned", "ok", answer[0]);
    eid_at(KEY, T, 10, eid);
    uint8_t n = advert_encode(FORMAT_NATIVE, eid, -6, data);
    /* 2.7 s at 100 ms and up to 10 more. */
    check(nrf51_sent >= 72 && nrf51_sent <= 84, "packets", "three for each event", (unsigned)nrf51_sent);
    check(nrf51_sent % 3 == 0, "packets", "on each channel", 0);
    for (uint64_t i = oldest(); i < nrf51_sent; i++) {
        static const uint8_t MHZ[3] = {2, 26, 80};
        const struct nrf51_packet *p = packet(i);
        check(p->mhz == MHZ[i % 3], "channels", "37, 38, 39", p->mhz);
        check(p->pdu[0] == 0x42, "type", "ADV_NONCONN_IND from a random address", p->pdu[0]);
        check(p->pdu[1] == 6 + n && same_bytes(p->pdu + 8, data, n), "data", "the id's", (unsigned)i);
        check((p->pdu[7] & 0xc0) == 0, "address", "non-resolvable", p->pdu[7]);
        check(p->power == 0xfc, "power", "-4 dBm", p->power);
        if (i == oldest() || i % 3 != 0) continue;
        uint64_t apart = p->begin_us - packet(i - 3 >= oldest() ? i - 3 : i)->begin_us;
        /* An event may be late by the two ticks that a sleep is longer, and a millisecond of rounding. */
        check(apart == 0 || (apart >= 97000 && apart <= 113000), "interval", "100 to 110 ms", (unsigned)apart);
    }
}

/* ---- the end of a window: id and address change together, between two events, on time ---- */

static uint64_t provisioned_at;

static void window_story(void) {
    switch (step++) {
    case 0: hello(); break;
    case 1: provision(0, 100); break;
    default: provisioned_at = asked_at; break; /* its time is that of the request */
    }
}

static void window(void) {
    uint8_t ids[2][EID_BYTES];
    const uint8_t *addresses[2] = {NULL, NULL};
    uint64_t first_us[2] = {0, 0};
    begin_at = T - T % 1024 + 1023;
    (void)has_run(window_story, SECOND / 5 + SECOND + 350000);
    eid_at(KEY, begin_at, 10, ids[0]);
    eid_at(KEY, begin_at + 1, 10, ids[1]);
    for (uint64_t i = oldest(); i < nrf51_sent; i++) {
        const struct nrf51_packet *p = packet(i);
        unsigned which = same_bytes(p->pdu + 8 + 22, ids[0], EID_BYTES) ? 0 : 1;
        check(same_bytes(p->pdu + 8 + 22, ids[which], EID_BYTES), "window", "an id of the key", (unsigned)i);
        check(which == 1 || addresses[1] == NULL, "window", "the old id does not come back", (unsigned)i);
        check(i % 3 == 0 || i == oldest() || same_bytes(p->pdu, packet(i - 1)->pdu, 39), "window", "one event, one advert", (unsigned)i);
        if (addresses[which] == NULL) {
            addresses[which] = p->pdu + 2;
            first_us[which] = p->begin_us;
        }
        check(same_bytes(p->pdu + 2, addresses[which], 6), "window", "one address for one id", (unsigned)i);
    }
    check(addresses[0] != NULL && addresses[1] != NULL, "window", "both ids were seen", 0);
    if (addresses[0] == NULL || addresses[1] == NULL) return;
    check(!same_bytes(addresses[0], addresses[1], 6), "window", "another address for another id", 0);
    uint64_t late = first_us[1] - provisioned_at;
    check(late > 990000 && late < 1010000, "window", "on time", (unsigned)late);
}

/* ---- every level of power ---- */

static const int8_t LEVELS[][2] = {{-40, -30}, {-27, -30}, {-24, -20}, {-17, -16}, {-13, -12}, {-7, -8}, {-3, -4}, {1, 0}, {3, 4}, {20, 4}};

#define LEVEL_COUNT (sizeof LEVELS / sizeof LEVELS[0])

static void power_story(void) {
    unsigned at = step++;
    if (at == 0) {
        hello();
    } else if (at % 2 == 1) {
        if (at > 1) {
            int8_t level = LEVELS[at / 2 - 1][1];
            uint8_t sent = packet(nrf51_sent - 1)->power;
            check(sent == (level == -30 ? 0xd8 : (uint8_t)level), "TXPOWER", "by the manual's table", sent);
        }
        if (at / 2 < LEVEL_COUNT) provision(LEVELS[at / 2][0], 100);
    } else {
        pause_ms(150);
    }
}

static void power(void) {
    (void)has_run(power_story, 6 * SECOND);
    check(step == 2 * LEVEL_COUNT + 2, "levels", "all seen", step);
}

/* ---- scan requests ---- */

static uint64_t sent_before;

static void set_request(uint8_t last) {
    static const uint8_t WHO[6] = {0x11, 0x22, 0x33, 0x44, 0x55, 0x66};
    uint8_t *r = nrf51_world.request;
    r[0] = 0x03 | 0x80 | 0x40; /* SCAN_REQ, both addresses random */
    r[1] = 12;
    copy_bytes(r + 2, WHO, 6);
    for (uint8_t i = 0; i < 6; i++) r[8 + i] = (uint8_t)(0xa6u - i); /* least significant byte first */
    r[13] = last;
}

static void advertise(uint8_t flags) {
    uint8_t payload[] = {flags, 0, 50, 0x7f, 0, 0, 0xea, 0x60, 0x21, 0xa2, 0xa3, 0xa4, 0xa5, 0xa6,
                         3,     2, 1,  6,    4, 3, 2,    1,    0};
    if (flags == 0) payload[18] = 0;
    ask(10, payload, flags == 0 ? 19 : sizeof payload);
}

static void expect_answers(bool answered, unsigned story) {
    uint64_t packets = nrf51_sent - sent_before;
    check(packets >= (answered ? 24 : 12) && packets <= 45, "scan", "adverts go on", (unsigned)packets);
    bool seen = false;
    for (uint64_t i = sent_before > oldest() ? sent_before : oldest(); i < nrf51_sent; i++) {
        const struct nrf51_packet *p = packet(i);
        if ((p->pdu[0] & 15u) == 6) continue; /* ADV_SCAN_IND */
        const struct nrf51_packet *advert = packet(i - 1);
        check(answered, "scan", "nobody else is answered", story);
        static const uint8_t RESPONSE[] = {0x44, 10, 0xa6, 0xa5, 0xa4, 0xa3, 0xa2, 0x21, 3, 2, 1, 0};
        check(same_bytes(p->pdu, RESPONSE, sizeof RESPONSE), "scan", "SCAN_RSP", p->pdu[0]);
        uint64_t gap = p->begin_us - p->asked_us;
        check(p->asked_us != 0 && gap >= 148 && gap <= 152, "scan", "150 us after the request", (unsigned)gap);
        check(i == oldest() || p->mhz == advert->mhz, "scan", "on its channel", p->mhz);
        seen = true;
    }
    check(seen == answered, "scan", "answered", story);
    sent_before = nrf51_sent;
}

static void scan_story(void) {
    switch (step++) {
    case 0: hello(); break;
    case 1:
        set_request(0x21);
        nrf51_world.scanner = true;
        nrf51_world.gap_us = 150;
        advertise(1);
        break;
    case 2: sent_before = nrf51_sent; pause_ms(300); break;
    case 3:
        expect_answers(true, 0);
        set_request(0x22); /* for another */
        pause_ms(300);
        break;
    case 4:
        expect_answers(false, 1);
        set_request(0x21);
        nrf51_world.damaged = true;
        pause_ms(300);
        break;
    case 5:
        expect_answers(false, 2);
        nrf51_world.damaged = false;
        nrf51_world.gap_us = 400; /* too late */
        pause_ms(300);
        break;
    case 6:
        expect_answers(false, 3);
        nrf51_world.gap_us = 150;
        nrf51_world.request[0] = 0x03 | 0x40; /* for one with a public address */
        pause_ms(300);
        break;
    case 7:
        expect_answers(false, 4);
        set_request(0x21);
        advertise(0); /* not scannable: it does not even listen */
        break;
    case 8: break;
    default: break;
    }
}

static void scan(void) {
    (void)has_run(scan_story, 3 * SECOND);
    check(step == 8 + 1, "scan", "to its end", step);
    check(packet(nrf51_sent - 1)->pdu[0] == 0x42, "afterwards", "ADV_NONCONN_IND", packet(nrf51_sent - 1)->pdu[0]);
}

/* ---- an hour ---- */

static void hour_story(void) {
    switch (step++) {
    case 0: hello(); break;
    case 1: provision(0, 2000); break;
    case 2:
        provisioned_at = nrf51_now_us();
        nrf51_at(3600 * SECOND, hour_story);
        break;
    case 3: ask(7, NULL, 0); break;
    default: break;
    }
}

static void hour(void) {
    (void)has_run(hour_story, 3601 * SECOND);
    check(step == 5 && answer[2] == 3, "an hour later", "the clock is set", answer[2]);
    uint64_t elapsed_ms = (asked_at - provisioned_at) / 1000;
    int64_t shown_ms = (int64_t)(get32(answer + 3) - T) * 1000 + get16(answer + 7);
    int64_t error_ms = shown_ms - (int64_t)elapsed_ms;
    (void)printf("an hour later the clock is %d ms off\n", (int)error_ms);
    /* The request's way in, and 20 ppm. */
    check(error_ms > -100 && error_ms < 100, "an hour later", "the clock is right", (unsigned)error_ms);
    check(get32(answer + 60) == 0, "radio", "no faults", get32(answer + 60));
    check(get16(answer + 19) == 2998, "battery", "3 V", get16(answer + 19));
}

/* ---- broken chips ---- */

static void broken_story(void) {
    switch (step++) {
    case 0: hello(); break;
    case 1: provision(0, 100); break;
    case 2: pause_ms(2000); break;
    case 3: ask(7, NULL, 0); break;
    default: break;
    }
}

static void stuck(void) {
    nrf51_world.stuck_radio = true;
    (void)has_run(broken_story, 4 * SECOND);
    check(step == 5 && get32(answer + 60) > 10, "a radio that hangs", "is counted", get32(answer + 60));
}

static void no_crystal(void) {
    nrf51_world.no_crystal = true;
    (void)has_run(broken_story, 4 * SECOND);
    check(nrf51_sent == 0, "without the crystal", "it sends nothing", (unsigned)nrf51_sent);
    check(step == 5 && get32(answer + 60) > 10, "without the crystal", "is counted", get32(answer + 60));
}

static void watchdog(void) {
    nrf51_world.stuck_rng = true;
    check(has_run(broken_story, 20 * SECOND), "a chip that hangs", "restarts", 0);
}

static void no_slow_clock(void) {
    nrf51_world.no_slow_clock = true;
    hour();
}

int main(int argc, char **argv) {
    static const struct {
        const char *name;
        void (*run)(void);
    } STORIES[] = {{"beacon", beacon}, {"window", window}, {"power", power}, {"scan", scan}, {"hour", hour},
                   {"stuck-radio", stuck}, {"no-crystal", no_crystal}, {"no-slow-clock", no_slow_clock}, {"watchdog", watchdog}};
    for (size_t i = 0; i < sizeof STORIES / sizeof STORIES[0]; i++) {
        if (argc != 2) (void)printf("%s\n", STORIES[i].name);
        else if (strcmp(argv[1], STORIES[i].name) == 0) {
            STORIES[i].run();
            return report() == 0 ? 0 : 1;
        }
    }
    return 2;
}
