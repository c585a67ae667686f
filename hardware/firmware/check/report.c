/* Counts checks. */
#include "report.h"

static unsigned checks;
static unsigned failed;

static void print_number(unsigned n) {
    char text[11];
    char *at = text + sizeof text - 1;
    *at = 0;
    do {
        *--at = (char)('0' + n % 10u);
        n /= 10u;
    } while (n > 0);
    print(at);
}

void check(bool held, const char *what, const char *which, unsigned number) {
    checks++;
    if (held) return;
    failed++;
    print("failed: ");
    print(what);
    print(": ");
    print(which);
    print(" #");
    print_number(number);
    print("\n");
}

unsigned report(void) {
    print_number(checks);
    print(" checks, ");
    print_number(failed);
    print(" failed\n");
    return failed;
}
