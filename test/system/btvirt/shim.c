/*
 * Loaded before btvirt (LD_PRELOAD), for three things that it does to its surroundings:
 * - it wants the kernel's cryptography sockets (AF_ALG) before it takes a client, and has no use for them without
 *   encryption: any socket will do;
 * - its sockets have fixed places: they go to BTVIRT_DIR, so that runs do not meet;
 * - it drops what a client does not take at once: it waits.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

#define NEXT(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

static const char *moved(const char *path, char *room, size_t size)
{
	const char *folder = getenv("BTVIRT_DIR");
	const char *name = strstr(path, "/bt-server-");
	if (!folder || !name)
		return path;
	snprintf(room, size, "%s%s", folder, name);
	return room;
}

int socket(int domain, int type, int protocol)
{
	if (domain == AF_ALG)
		return NEXT(socket)(AF_UNIX, SOCK_DGRAM | (type & SOCK_CLOEXEC), 0);
	return NEXT(socket)(domain, type, protocol);
}

int bind(int fd, const struct sockaddr *address, socklen_t length)
{
	if (address->sa_family == AF_ALG)
		return 0;
	if (address->sa_family != AF_UNIX)
		return NEXT(bind)(fd, address, length);
	struct sockaddr_un there = { .sun_family = AF_UNIX };
	char room[sizeof there.sun_path];
	const char *path = moved(((const struct sockaddr_un *)address)->sun_path, room, sizeof room);
	snprintf(there.sun_path, sizeof there.sun_path, "%s", path);
	return NEXT(bind)(fd, (const struct sockaddr *)&there, sizeof there);
}

int unlink(const char *path)
{
	char room[sizeof ((struct sockaddr_un *)0)->sun_path];
	return NEXT(unlink)(moved(path, room, sizeof room));
}

ssize_t sendmsg(int fd, const struct msghdr *message, int flags)
{
	return NEXT(sendmsg)(fd, message, (flags & ~MSG_DONTWAIT) | MSG_NOSIGNAL);
}
