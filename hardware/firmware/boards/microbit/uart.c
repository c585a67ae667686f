/* The micro:bit's serial line. The receiver holds 6 bytes, half a millisecond: an interrupt moves them to a ring. */
#include "uart.h"

#include "../../core/board.h"
#include "../cortex-m/startup.h"
#include "registers.h"

#define PIN_TX 24u
#define PIN_RX 25u
#define NO_PIN 0xffffffffu
/* 22 ms at 115,200 baud: what comes while flash is erased is lost before it gets here anyway. */
#define RING 128u

static volatile uint8_t ring[RING];
static volatile uint8_t head;
static volatile uint8_t tail;
static volatile uint32_t lost;

void uart_interrupt(void) {
    while (UART_RXDRDY) {
        UART_RXDRDY = 0;
        uint8_t byte = (uint8_t)UART_RXD;
        uint8_t next = (uint8_t)((head + 1u) % RING);
        if (next == tail) {
            lost++;
        } else {
            ring[head] = byte;
            head = next;
        }
    }
    if (UART_EVENTS_ERROR) {
        UART_EVENTS_ERROR = 0;
        UART_ERRORSRC = UART_ERRORSRC;
        lost++;
    }
}

static void choose_pins(void) {
    UART_PSELRTS = NO_PIN;
    UART_PSELCTS = NO_PIN;
    UART_PSELTXD = PIN_TX;
    UART_PSELRXD = PIN_RX;
    UART_BAUDRATE = BAUD_115200;
    UART_CONFIG = 0;
}

void uart_start(void) {
    GPIO_OUTSET = 1u << PIN_TX; /* the line rests high */
    GPIO_PIN_CNF(PIN_TX) = PIN_OUTPUT;
    GPIO_PIN_CNF(PIN_RX) = PIN_INPUT;
    choose_pins();
    UART_ENABLE = 4;
    choose_pins(); /* QEMU drops what is written before ENABLE */
    UART_INTENSET = UART_INT_RXDRDY | UART_INT_ERROR;
    UART_STARTTX = 1;
    UART_STARTRX = 1;
    NVIC_ISER = 1u << IRQ_UART0;
}

bool uart_is_empty(void) { return head == tail; }

bool uart_take(uint8_t *byte) {
    if (uart_is_empty()) return false;
    *byte = ring[tail];
    tail = (uint8_t)((tail + 1u) % RING);
    return true;
}

void board_send(const uint8_t *wire, size_t n) {
    for (size_t i = 0; i < n; i++) {
        UART_TXDRDY = 0;
        UART_TXD = wire[i];
        while (UART_TXDRDY == 0) {
        }
    }
}

uint32_t board_lost_bytes(void) { return lost; }
