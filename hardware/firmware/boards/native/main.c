/* The native board: the same firmware as a program of this machine, for tests without hardware. See --help. */
#include <signal.h>
#include <stdio.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>

#include "../../core/bytes.h"
#include "../../core/device.h"
#include "flash.h"
#include "line.h"
#include "options.h"

static struct options options;
static struct device device;
static struct board_facts facts;
static struct kept_clock kept;
static struct radio_counters radio;
static uint32_t on_air_since;
static uint16_t on_air_interval;
static volatile sig_atomic_t button;
static bool reset_asked;

static void print_hex(const char *name, const uint8_t *bytes, size_t n) {
    (void)printf(",\"%s\":\"", name);
    for (size_t i = 0; i < n; i++) (void)printf("%02x", bytes[i]);
    (void)printf("\"");
}

uint32_t board_millis(void) {
    struct timespec t;
    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    uint64_t us = (uint64_t)t.tv_sec * 1000000u + (uint64_t)t.tv_nsec / 1000u;
    return (uint32_t)(us * options.speed / 1000u);
}

static void count_events(void) {
    uint32_t now = board_millis();
    if (on_air_interval == 0) return;
    uint32_t events = (now - on_air_since) / on_air_interval;
    radio.events += events;
    on_air_since += events * on_air_interval;
}

void board_advertise(const struct air *air) {
    count_events();
    on_air_since = board_millis();
    on_air_interval = air->kind == AIR_NOTHING ? 0 : air->interval_ms;
    (void)printf("{\"air\":{\"kind\":%d,\"intervalMs\":%u,\"scannable\":%s", (int)air->kind, air->interval_ms,
                 air->scannable ? "true" : "false");
    print_hex("address", air->address, ADDRESS_BYTES);
    print_hex("data", air->data, air->data_length);
    print_hex("scan", air->scan, air->scan_length);
    (void)printf("}}\n");
    (void)fflush(stdout);
}

struct radio_counters board_radio_counters(void) {
    count_events();
    return radio;
}

const struct board_facts *board_facts(void) { return &facts; }
struct kept_clock *board_kept_clock(void) { return &kept; }
uint16_t board_battery_mv(void) { return 2987; }
int8_t board_tx_level(int8_t dbm) { return dbm; }
int8_t board_calibrated(int8_t tx_level) { return tx_level; }
void board_reset(void) { reset_asked = true; }

void board_random(uint8_t *out, size_t n) {
    if (getrandom(out, n, 0) != (ssize_t)n) _exit(1);
}

static void press_button(int signal_number) {
    (void)signal_number;
    button = 1;
}

static void start(enum reset_reason reason) {
    uint8_t chance[4];
    board_random(chance, sizeof chance);
    facts.boot_id = get32(chance);
    facts.reset_reason = reason;
    button = 0;
    reset_asked = false;
    board_advertise(&(struct air){.kind = AIR_NOTHING}); /* a radio that starts is silent */
    device_start(&device);
}

static int wait_ms(void) {
    uint32_t ms = device_due_ms(&device) / options.speed;
    return ms == 0 ? 1 : (int)ms;
}

int main(int argc, char **argv) {
    static const uint8_t NAME[BOARD_NAME_BYTES] = {'n', 'a', 't', 'i', 'v', 'e'};
    struct sigaction action = {.sa_handler = press_button};
    uint8_t bytes[512];
    const pid_t parent = getppid();
    options = options_parse(argc, argv);
    if (options.speed == 0) options.speed = 1;
    facts.capabilities = CAN_BEACON | CAN_RADIO | CAN_SCAN_RESPONSE | CAN_BATTERY | CAN_KEEP_CLOCK;
    if (!options.release) facts.capabilities |= CAN_ADVANCE;
    copy_bytes(facts.name, NAME, BOARD_NAME_BYTES);
    copy_bytes(facts.device_id, NAME, DEVICE_ID_BYTES);
    (void)sigaction(SIGUSR1, &action, NULL);
    flash_open(options.flash, options.cut);
    (void)printf("{\"pty\":\"%s\"}\n", line_open(options.noise, options.seed));
    (void)fflush(stdout);
    start(RESET_POWER);
    for (;;) {
        size_t n = line_read(bytes, sizeof bytes, wait_ms());
        for (size_t i = 0; i < n; i++) device_byte(&device, bytes[i]);
        device_tick(&device);
        if (reset_asked || button) start(reset_asked ? RESET_ASKED : RESET_PIN);
        if (getppid() != parent) return 0; /* whoever started it is gone */
    }
}
