/* The RADIO driver, by the nRF51 reference manual. Every wait has a limit: QEMU has no RADIO, and a chip may fail. It runs in
 * the main loop alone, so an advert never changes in the middle of an event. */
#include "radio.h"

#include "../../core/board.h"
#include "../../core/bytes.h"
#include "registers.h"
#include "time.h"

#define PDU_HEADER 2u
#define PDU_MAX (PDU_HEADER + ADDRESS_BYTES + ADVERT_MAX)
#define TX_ADDRESS_IS_RANDOM 0x40u
enum { ADV_NONCONN_IND = 2, SCAN_REQ = 3, SCAN_RSP = 4, ADV_SCAN_IND = 6 };
#define SCAN_REQ_BYTES 12u

/* Start-up 140 us, 47 bytes of 8 us each, and some. */
#define PACKET_US 1000u
/* From our last bit: 150 us, preamble and access address of the request, and some. */
#define REQUEST_US 260u
#define DELAY_MAX_MS 10u
#define SILENT 0xffffffffu

/* As on the air: header, length, address (least significant byte first), data. Read by the tests out of memory. */
uint8_t radio_advert[PDU_MAX] __attribute__((aligned(4)));
uint8_t radio_scan_response[PDU_MAX] __attribute__((aligned(4)));
static uint8_t received[PDU_MAX] __attribute__((aligned(4)));
static uint16_t interval_ms;
static uint32_t next_event;
static struct radio_counters counters;

static const int8_t LEVELS[] = {-30, -20, -16, -12, -8, -4, 0, 4};
/* The register takes the level in dBm, but for this one. */
#define TXPOWER_NEG30 0xD8u

int8_t board_tx_level(int8_t dbm) {
    int8_t best = LEVELS[0];
    for (unsigned i = 1; i < sizeof LEVELS; i++)
        if (dbm - best > LEVELS[i] - dbm) best = LEVELS[i];
    return best;
}

/* Of the printed antenna not much more than half gets out. */
int8_t board_calibrated(int8_t tx_level) { return (int8_t)(tx_level - 2); }

void radio_start(void) {
    RADIO_POWER = 0;
    RADIO_POWER = 1;
    if ((FICR_OVERRIDEEN & OVERRIDEEN_BLE_1MBIT) == 0) {
        for (unsigned i = 0; i < 4; i++) RADIO_OVERRIDE(i) = FICR_BLE_1MBIT(i);
        RADIO_OVERRIDE(4) = FICR_BLE_1MBIT(4) | OVERRIDE4_ENABLE;
    }
    RADIO_MODE = 3;                         /* BLE, 1 Mbit/s */
    RADIO_PCNF0 = 8u | 1u << 8;             /* length of 8 bits behind one byte of header: as a PDU lies in memory */
    RADIO_PCNF1 = (PDU_MAX - PDU_HEADER) | 3u << 16 | 1u << 25; /* access address of 3 + 1 bytes, little-endian, whitened */
    RADIO_BASE0 = 0x89BED600u;              /* access address of advertising: 8e89bed6 */
    RADIO_PREFIX0 = 0x8Eu;
    RADIO_TXADDRESS = 0;
    RADIO_RXADDRESSES = 1;
    RADIO_CRCCNF = 3u | 1u << 8;            /* 3 bytes, without the access address */
    RADIO_CRCPOLY = 0x65Bu;
    RADIO_CRCINIT = 0x555555u;
    RADIO_TIFS = 150;
}

static void build(uint8_t *pdu, unsigned type, const struct air *air, const uint8_t *data, uint8_t n) {
    pdu[0] = (uint8_t)(type | TX_ADDRESS_IS_RANDOM);
    pdu[1] = (uint8_t)(ADDRESS_BYTES + n);
    for (unsigned i = 0; i < ADDRESS_BYTES; i++) pdu[PDU_HEADER + i] = air->address[ADDRESS_BYTES - 1 - i];
    copy_bytes(pdu + PDU_HEADER + ADDRESS_BYTES, data, n);
}

void board_advertise(const struct air *air) {
    clear_bytes(radio_advert, PDU_MAX);
    clear_bytes(radio_scan_response, PDU_MAX);
    interval_ms = air->interval_ms;
    if (air->kind == AIR_NOTHING) {
        interval_ms = 0;
        return;
    }
    build(radio_advert, air->scannable ? ADV_SCAN_IND : ADV_NONCONN_IND, air, air->data, air->data_length);
    if (air->scannable) build(radio_scan_response, SCAN_RSP, air, air->scan, air->scan_length);
    RADIO_TXPOWER = air->tx_dbm == -30 ? TXPOWER_NEG30 : (uint8_t)air->tx_dbm;
    next_event = board_millis();
}

struct radio_counters board_radio_counters(void) { return counters; }

uint32_t radio_due_ms(void) {
    if (interval_ms == 0) return SILENT;
    int32_t left = (int32_t)(next_event - board_millis());
    return left > 0 ? (uint32_t)left : 0;
}

static void disable(void) {
    RADIO_SHORTS = 0;
    RADIO_EVENTS_DISABLED = 0;
    RADIO_DISABLE = 1;
    (void)wait_for(&RADIO_EVENTS_DISABLED, 50);
}

static bool is_for_us(void) {
    return RADIO_CRCSTATUS == 1 && (received[0] & 0x0fu) == SCAN_REQ && received[1] == SCAN_REQ_BYTES &&
           (received[0] >> 7 & 1u) == 1 &&
           same_bytes(received + PDU_HEADER + ADDRESS_BYTES, radio_advert + PDU_HEADER, ADDRESS_BYTES);
}

/* The radio has begun to listen by its short cut, and will begin to send after what it hears, unless it is stopped. */
static void answer_scan(void) {
    RADIO_PACKETPTR = (uint32_t)(uintptr_t)received;
    RADIO_EVENTS_ADDRESS = 0;
    RADIO_EVENTS_END = 0;
    RADIO_SHORTS = SHORT_READY_START | SHORT_END_DISABLE | SHORT_DISABLED_TXEN;
    if (!wait_for(&RADIO_EVENTS_ADDRESS, REQUEST_US) || !wait_for(&RADIO_EVENTS_END, PACKET_US) || !is_for_us()) {
        disable();
        return;
    }
    RADIO_PACKETPTR = (uint32_t)(uintptr_t)radio_scan_response;
    if (!wait_for(&RADIO_EVENTS_DISABLED, 50)) counters.faults++;
    RADIO_SHORTS = SHORT_READY_START | SHORT_END_DISABLE;
    if (!wait_for(&RADIO_EVENTS_DISABLED, PACKET_US)) counters.faults++;
    disable();
}

static void send_on(uint8_t channel, uint8_t mhz_over_2400) {
    bool scannable = (radio_advert[0] & 0x0fu) == ADV_SCAN_IND;
    RADIO_FREQUENCY = mhz_over_2400;
    RADIO_DATAWHITEIV = channel;
    RADIO_PACKETPTR = (uint32_t)(uintptr_t)radio_advert;
    RADIO_EVENTS_DISABLED = 0;
    RADIO_SHORTS = SHORT_READY_START | SHORT_END_DISABLE | (scannable ? SHORT_DISABLED_RXEN : 0);
    RADIO_TXEN = 1;
    if (!wait_for(&RADIO_EVENTS_DISABLED, PACKET_US)) {
        counters.faults++;
        disable();
    } else if (scannable) {
        answer_scan();
    }
}

void radio_event(void) {
    uint8_t chance;
    if (wait_begin()) {
        send_on(37, 2);
        send_on(38, 26);
        send_on(39, 80);
        counters.events++;
    } else { /* on the RC oscillator it would be off its channel, and on another's */
        counters.faults++;
    }
    wait_end();
    board_random(&chance, 1);
    next_event += interval_ms + chance % (DELAY_MAX_MS + 1u);
    if (radio_due_ms() == 0) next_event = board_millis() + interval_ms; /* it was held up: do not catch up */
}
