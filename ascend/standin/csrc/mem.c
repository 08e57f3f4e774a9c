// Device memory: addresses come from a reservation that nobody may touch, the bytes lie elsewhere, so that a host
// access to a device address crashes at once.
#include "acl.h"
#include <sys/mman.h>

#define ROUND(n) (((n) + 31) / 32 * 32 + 32)
#define CANARY 0xA5

struct block { struct block *next; uint8_t *address; size_t size, asked; int dvpp; };
static struct { uint8_t *reserved, *real; size_t size; struct block *used; } arena[MAX_DEVICES];
struct pinned { struct pinned *next; uint8_t *p; size_t n; };
static struct pinned *pins;
static pthread_mutex_t mu = PTHREAD_MUTEX_INITIALIZER;

static int ready(int d) {
	if (arena[d].reserved) return 0;
	size_t n = 4ull << 30; // addresses; arena_bytes limits what may be used of them
	arena[d].reserved = mmap(0, n, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	arena[d].real = mmap(0, n, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (arena[d].reserved == MAP_FAILED || arena[d].real == MAP_FAILED) { arena[d].reserved = 0; return -1; }
	arena[d].size = n;
	return 0;
}

void *device_alloc(int32_t d, size_t n, int dvpp) {
	size_t size = (ROUND(n) + 127) / 128 * 128;
	void *out = 0;
	pthread_mutex_lock(&mu);
	if (ready(d) == 0 && atomic_load(&shared->mem_used[d]) + (int64_t)size <= atomic_load(&shared->arena_bytes)) {
		uint8_t *at = arena[d].reserved;
		struct block **p = &arena[d].used;
		for (; *p && (size_t)((*p)->address - at) < size; p = &(*p)->next) at = (*p)->address + (*p)->size;
		if (at + size <= arena[d].reserved + arena[d].size) {
			struct block *b = malloc(sizeof *b);
			*b = (struct block){*p, at, size, n, dvpp};
			*p = b;
			memset(arena[d].real + (at - arena[d].reserved) + n, CANARY, size - n);
			atomic_fetch_add(&shared->mem_used[d], (int64_t)size);
			atomic_fetch_add(&live[K_DEVMEM], 1);
			out = at;
		}
	}
	pthread_mutex_unlock(&mu);
	return out;
}

int32_t device_free(const char *name, void *p, int dvpp) {
	int32_t e = 107000;
	pthread_mutex_lock(&mu);
	for (int d = 0; d < MAX_DEVICES && e == 107000; d++)
		for (struct block **b = &arena[d].used; *b; b = &(*b)->next) {
			if ((*b)->address != p || (*b)->dvpp != dvpp) continue;
			struct block *gone = *b;
			uint8_t *real = arena[d].real + (gone->address - arena[d].reserved);
			e = 0;
			for (size_t i = gone->asked; i < gone->size; i++)
				if (real[i] != CANARY) e = 507053;
			*b = gone->next;
			atomic_fetch_sub(&shared->mem_used[d], (int64_t)gone->size);
			atomic_fetch_sub(&live[K_DEVMEM], 1);
			free(gone);
			break;
		}
	pthread_mutex_unlock(&mu);
	if (e == 507053) return fail(e, "%s: EE9999: something wrote beyond the end of %p", name, p);
	return e ? fail(e, "%s: EE1001: %p was not allocated here", name, p) : 0;
}

// locate says what an address is and where its bytes really lie.
enum place locate(const void *p, size_t n, uint8_t **real) {
	const uint8_t *a = p;
	enum place out = PAGEABLE;
	*real = (uint8_t *)p;
	pthread_mutex_lock(&mu);
	for (int d = 0; d < MAX_DEVICES && out == PAGEABLE; d++) {
		if (!arena[d].reserved || a < arena[d].reserved || a >= arena[d].reserved + arena[d].size) continue;
		out = DEVICE_BAD;
		for (struct block *b = arena[d].used; b; b = b->next)
			if (a >= b->address && a + n <= b->address + b->asked) {
				out = DEVICE;
				*real = arena[d].real + (a - arena[d].reserved);
			}
	}
	for (struct pinned *h = pins; h && out == PAGEABLE; h = h->next)
		if (a >= h->p && a + n <= h->p + h->n) out = PINNED;
	pthread_mutex_unlock(&mu);
	return out;
}

int locate_media(const void *p, size_t n, uint8_t **real) {
	if (locate(p, n, real) != DEVICE) return 0;
	int found = 0;
	pthread_mutex_lock(&mu);
	for (int d = 0; d < MAX_DEVICES; d++)
		for (struct block *b = arena[d].used; b; b = b->next)
			if ((const uint8_t *)p >= b->address && (const uint8_t *)p < b->address + b->size) found = b->dvpp;
	pthread_mutex_unlock(&mu);
	return found;
}

void forget_memory(int32_t d) {
	pthread_mutex_lock(&mu);
	arena[d].used = 0, pins = 0;
	atomic_store(&shared->mem_used[d], 0);
	pthread_mutex_unlock(&mu);
}

EXPORT int32_t aclrtMalloc(void **out, size_t n, int32_t policy) {
	ENTER(aclrtMalloc);
	(void)policy; // an unknown policy is not an error
	int32_t e = need_context("aclrtMalloc");
	if (e) return e;
	if (!n) return fail(107000, "aclrtMalloc: EE1001: size 0");
	if (gone()) return fail(507899, "aclrtMalloc: EE9999: device lost");
	if (!(*out = device_alloc(current->device, n, 0))) return fail(207001, "aclrtMalloc: EL0004: %zu bytes of device memory are not to be had", n);
	return 0;
}
EXPORT int32_t aclrtFree(void *p) {
	ENTER(aclrtFree);
	return p ? device_free("aclrtFree", p, 0) : fail(107000, "aclrtFree: EE1001: NULL");
}
EXPORT int32_t aclrtMallocHost(void **out, size_t n) {
	ENTER(aclrtMallocHost);
	int32_t e = need_context("aclrtMallocHost");
	if (e) return e;
	if (!n) return fail(107000, "aclrtMallocHost: EE1001: size 0");
	struct pinned *h = malloc(sizeof *h);
	if (posix_memalign((void **)&h->p, 4096, n)) return fail(207001, "aclrtMallocHost: no memory");
	h->n = n;
	pthread_mutex_lock(&mu);
	h->next = pins, pins = h;
	pthread_mutex_unlock(&mu);
	atomic_fetch_add(&live[K_HOSTMEM], 1);
	*out = h->p;
	return 0;
}
EXPORT int32_t aclrtFreeHost(void *p) {
	ENTER(aclrtFreeHost);
	struct pinned *found = 0;
	pthread_mutex_lock(&mu);
	for (struct pinned **h = &pins; *h; h = &(*h)->next)
		if ((*h)->p == p) { found = *h; *h = found->next; break; }
	pthread_mutex_unlock(&mu);
	if (!found) return fail(107000, "aclrtFreeHost: EE1001: %p was not allocated here", p);
	atomic_fetch_sub(&live[K_HOSTMEM], 1);
	free(found->p), free(found);
	return 0;
}

// ends checks both ends of a copy; a kind that does not fit the addresses is refused here, though hardware would not notice.
static int32_t ends(const char *name, void *dst, size_t max, const void *src, size_t n, int32_t kind, uint8_t **d, uint8_t **s, int *pageable) {
	int32_t e = need_context(name);
	if (e) return e;
	if (gone()) return fail(507899, "%s: EE9999: device lost", name);
	if (n > max) return fail(107000, "%s: EE1001: count %zu is above the destination's %zu", name, n, max);
	enum place to = locate(dst, n, d), from = locate(src, n, s);
	if (to == DEVICE_BAD || from == DEVICE_BAD) return fail(107000, "%s: EE1001: the range is not inside one allocation", name);
	int want = (from == DEVICE ? 2 : 0) + (to == DEVICE ? 1 : 0); // H2H 0, H2D 1, D2H 2, D2D 3
	if (kind != want && kind != ACL_MEMCPY_DEFAULT) return fail(107000, "%s: EE1001: kind %d for a copy of kind %d", name, kind, want);
	*pageable = to == PAGEABLE || from == PAGEABLE;
	return 0;
}
EXPORT int32_t aclrtMemcpy(void *dst, size_t max, void *src, size_t n, int32_t kind) {
	ENTER(aclrtMemcpy);
	uint8_t *d, *s;
	int pageable;
	int32_t e = ends("aclrtMemcpy", dst, max, src, n, kind, &d, &s, &pageable);
	if (!e) memmove(d, s, n);
	return e;
}
EXPORT int32_t aclrtMemcpyAsync(void *dst, size_t max, void *src, size_t n, int32_t kind, uintptr_t stream) {
	ENTER(aclrtMemcpyAsync);
	uint8_t *d, *s;
	int pageable;
	struct stream *st = 0;
	int32_t e = need_stream("aclrtMemcpyAsync", stream, &st);
	if (!e) e = ends("aclrtMemcpyAsync", dst, max, src, n, kind, &d, &s, &pageable);
	if (e) return e;
	if (kind == 0) return fail(207000, "aclrtMemcpyAsync: host to host is not supported");
	e = push(st, (struct task){.kind = T_COPY, .dst = d, .src = s, .n = n});
	return e || !pageable ? e : wait_stream(st, -1); // pageable memory: returns after the copy
}
EXPORT int32_t aclrtMemset(void *p, size_t max, int32_t value, size_t n) {
	ENTER(aclrtMemset);
	uint8_t *d;
	if (n > max) return fail(107000, "aclrtMemset: EE1001: count above size");
	enum place at = locate(p, n, &d);
	if (at != DEVICE && at != PINNED) return fail(107000, "aclrtMemset: EE1001: not memory of this runtime");
	memset(d, value, n);
	return 0;
}
EXPORT int32_t aclrtMemsetAsync(void *p, size_t max, int32_t value, size_t n, uintptr_t stream) {
	ENTER(aclrtMemsetAsync);
	uint8_t *d;
	struct stream *st = 0;
	int32_t e = need_stream("aclrtMemsetAsync", stream, &st);
	if (e) return e;
	if (n > max || locate(p, n, &d) != DEVICE) return fail(107000, "aclrtMemsetAsync: EE1001: not device memory of that size");
	return push(st, (struct task){.kind = T_SET, .dst = d, .value = value, .n = n});
}
EXPORT int32_t aclrtGetMemInfo(int32_t attr, size_t *avail, size_t *total) {
	ENTER(aclrtGetMemInfo);
	int32_t e = need_context("aclrtGetMemInfo");
	if (e) return e;
	(void)attr; // a question for HBM is answered with DDR
	*total = (size_t)atomic_load(&shared->arena_bytes);
	*avail = *total - (size_t)atomic_load(&shared->mem_used[current->device]);
	return 0;
}
