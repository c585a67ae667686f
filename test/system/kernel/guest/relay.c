/*
 * Puts controllers that live outside of the machine under its kernel: each virtio port given as an argument carries
 * H4 and becomes one adapter (hci0, hci1, …, in that order) through /dev/vhci. When the other side of a port goes, the
 * adapter goes, as when a dongle is unplugged; when it comes back, so does the adapter.
 */
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define MOST 16
#define ROOM 8192

struct bridge {
	int port, vhci;
	size_t held;
	unsigned char data[ROOM];
};

static struct bridge bridges[MOST];

/* Bytes of the H4 packet at `p`, 0: not known yet. */
static size_t whole(const unsigned char *p, size_t held)
{
	switch (held ? p[0] : 0) {
	case 2: return held < 5 ? 0 : 5u + p[3] + (p[4] << 8);
	case 3: return held < 4 ? 0 : 4u + p[3];
	case 4: return held < 3 ? 0 : 3u + p[2];
	case 5: return held < 5 ? 0 : 5u + p[3] + ((p[4] & 0x3f) << 8);
	default: return 0;
	}
}

static int connected(int port)
{
	struct pollfd p = { .fd = port, .events = POLLIN };
	return poll(&p, 1, 0) >= 0 && !(p.revents & POLLHUP);
}

static void plug(struct bridge *b)
{
	unsigned char create[] = { 0xff, 0 }, answer[ROOM];
	b->held = 0;
	b->vhci = open("/dev/vhci", O_RDWR);
	if (b->vhci < 0 || write(b->vhci, create, 2) != 2 || read(b->vhci, answer, sizeof answer) < 4) {
		perror("/dev/vhci");
		_exit(1);
	}
	fcntl(b->vhci, F_SETFL, O_NONBLOCK);
}

static void unplug(struct bridge *b)
{
	close(b->vhci);
	b->vhci = -1;
}

/* From the kernel to the controller: one packet a read. */
static void out(struct bridge *b)
{
	unsigned char packet[ROOM];
	ssize_t n = read(b->vhci, packet, sizeof packet);
	for (ssize_t done = 0; done < n;) {
		ssize_t some = write(b->port, packet + done, n - done);
		if (some <= 0)
			return;
		done += some;
	}
}

/* From the controller to the kernel: a stream, which it wants packet by packet. */
static void in(struct bridge *b)
{
	ssize_t n = read(b->port, b->data + b->held, ROOM - b->held);
	if (n <= 0)
		return;
	b->held += n;
	size_t at = 0, length;
	while ((length = whole(b->data + at, b->held - at)) && length <= b->held - at) {
		if (write(b->vhci, b->data + at, length) < 0)
			perror("a packet for the kernel");
		at += length;
	}
	memmove(b->data, b->data + at, b->held -= at);
}

int main(int argc, char **argv)
{
	int count = argc - 1 < MOST ? argc - 1 : MOST;
	for (int i = 0; i < count; i++) {
		bridges[i].vhci = -1;
		bridges[i].port = open(argv[i + 1], O_RDWR);
		if (bridges[i].port < 0) {
			perror(argv[i + 1]);
			return 1;
		}
	}
	for (;;) {
		struct pollfd polls[2 * MOST];
		for (int i = 0; i < count; i++) {
			struct bridge *b = &bridges[i];
			int up = connected(b->port);
			if (up && b->vhci < 0)
				plug(b);
			else if (!up && b->vhci >= 0)
				unplug(b);
			polls[2 * i] = (struct pollfd){ .fd = b->vhci < 0 ? -1 : b->port, .events = POLLIN };
			polls[2 * i + 1] = (struct pollfd){ .fd = b->vhci, .events = POLLIN };
		}
		poll(polls, 2 * count, 100);
		for (int i = 0; i < count; i++) {
			if (bridges[i].vhci < 0)
				continue;
			if (polls[2 * i].revents & POLLIN)
				in(&bridges[i]);
			if (polls[2 * i + 1].revents & POLLIN)
				out(&bridges[i]);
		}
	}
}
