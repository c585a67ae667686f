/* The micro:bit's serial line: UART0, through the interface chip to USB. */
#ifndef RDV_MICROBIT_UART_H
#define RDV_MICROBIT_UART_H
#include <stdbool.h>
#include <stdint.h>

void uart_start(void);
/* False: nothing has come. */
bool uart_take(uint8_t *byte);
bool uart_is_empty(void);
#endif
