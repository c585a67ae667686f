# Joins two Ethernet segments and does to every frame what a bad network does, from a seed.
# relay.py IF0 IF1 SEED LOSS DUPLICATE MAX_DELAY_MS; tells on SIGTERM what it did.
import heapq
import json
import random
import select
import signal
import socket
import sys
import time

OUTGOING = 4
names = sys.argv[1:3]
seed, loss, duplicate, delay = int(sys.argv[3]), float(sys.argv[4]), float(sys.argv[5]), float(sys.argv[6]) / 1000
chance = random.Random(seed)
counts = {"carried": 0, "dropped": 0, "duplicated": 0, "overtaken": 0}
going = True


def stop(*_):
    global going
    going = False


signal.signal(signal.SIGTERM, stop)
sides = []
for name in names:
    side = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
    side.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
    side.bind((name, 0))
    side.setblocking(False)
    sides.append(side)
waiting = []
order = 0
print("ready", flush=True)
while going:
    now = time.monotonic()
    while waiting and waiting[0][0] <= now:
        _, at, to, frame = heapq.heappop(waiting)
        counts["overtaken"] += any(other[1] < at for other in waiting[:8])
        try:
            sides[to].send(frame)
        except OSError:
            counts["dropped"] += 1
    timeout = max(0, waiting[0][0] - time.monotonic()) if waiting else 0.2
    ready, _, _ = select.select(sides, [], [], timeout)
    for side in ready:
        to = 1 - sides.index(side)
        for _ in range(64):
            try:
                frame, where = side.recvfrom(65536)
            except BlockingIOError:
                break
            if where[2] == OUTGOING:
                continue
            counts["carried"] += 1
            if chance.random() < loss:
                counts["dropped"] += 1
                continue
            copies = 2 if chance.random() < duplicate else 1
            counts["duplicated"] += copies - 1
            for _ in range(copies):
                order += 1
                due = time.monotonic() + chance.random() * delay
                heapq.heappush(waiting, (due, order, to, frame))
print(json.dumps(counts), flush=True)
