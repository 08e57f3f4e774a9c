#include "core.h"
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define MAGIC 0x45444E50u
#define MAX_RULES 64

struct shared *shared;
_Atomic int rules_active;

struct rule { char symbol[64]; uint64_t from, to; char effect[16]; int64_t arg; uint64_t base; };
static struct rule rules[MAX_RULES];
static int nrules;
static pthread_mutex_t rules_mu = PTHREAD_MUTEX_INITIALIZER;
static struct site *_Atomic sites;

EXPORT const char *standin_identity(void) { return "edgelog stand-in 1"; }

int64_t now_ns(void) {
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

void pause_us(int64_t us) {
	struct timespec t = {us / 1000000, us % 1000000 * 1000};
	while (us > 0 && nanosleep(&t, &t) != 0) {
	}
}

void standin_know(struct site *s) {
	if (atomic_exchange(&s->known, 1)) return;
	s->next = atomic_load(&sites);
	while (!atomic_compare_exchange_weak(&sites, &s->next, s)) {
	}
}

EXPORT uint64_t standin_calls(const char *symbol) {
	for (struct site *s = atomic_load(&sites); s; s = s->next)
		if (strcmp(s->symbol, symbol) == 0) return atomic_load(&s->calls);
	return 0;
}

// The rule decides outside the lock, so that a call that hangs does not stop others.
struct verdict standin_rule(struct site *s) {
	struct verdict v = {0, 0};
	struct rule r = {{0}, 0, 0, {0}, 0, 0};
	pthread_mutex_lock(&rules_mu);
	for (int i = 0; i < nrules && !r.effect[0]; i++) {
		if (strcmp(rules[i].symbol, s->symbol) != 0) continue;
		uint64_t n = atomic_load(&s->calls) - rules[i].base;
		if (n >= rules[i].from && n <= rules[i].to) r = rules[i];
	}
	pthread_mutex_unlock(&rules_mu);
	if (strcmp(r.effect, "return") == 0) v.hit = 1, v.code = r.arg;
	else if (strcmp(r.effect, "sleep") == 0) pause_us(r.arg * 1000);
	else if (strcmp(r.effect, "hang") == 0) for (;;) pause();
	else if (strcmp(r.effect, "abort") == 0) abort();
	else if (strcmp(r.effect, "segv") == 0) raise(SIGSEGV);
	return v;
}

static int set_param(const char *name, int64_t value) {
#define X(p, d) if (strcmp(name, #p) == 0) { atomic_store(&shared->p, value); return 0; }
	PARAMS(X)
#undef X
	return -1;
}

EXPORT int64_t standin_param(const char *name) {
#define X(p, d) if (strcmp(name, #p) == 0) return atomic_load(&shared->p);
	PARAMS(X)
#undef X
	if (strcmp(name, "busy_ns") == 0) return atomic_load(&shared->busy_ns[0]);
	if (strcmp(name, "executed") == 0) return atomic_load(&shared->executed[0]);
	return -1;
}

// One line: "set NAME VALUE", "on SYMBOL N|N+|* EFFECT ARG", "clear". Calls are counted from the line on.
static int line(char *text) {
	char a[16], b[64], c[32], d[16];
	long long arg = 0;
	int n = sscanf(text, "%15s %63s %31s %15s %lli", a, b, c, d, &arg);
	if (n <= 0 || a[0] == '#') return 0;
	if (strcmp(a, "clear") == 0) { nrules = 0; return 0; }
	if (strcmp(a, "set") == 0 && n >= 3) return set_param(b, strtoll(c, 0, 0));
	if (strcmp(a, "on") != 0 || n < 4 || nrules == MAX_RULES) return -1;
	struct rule *r = &rules[nrules++];
	memset(r, 0, sizeof *r);
	strcpy(r->symbol, b);
	strcpy(r->effect, d);
	r->arg = arg;
	r->base = standin_calls(b);
	r->from = c[0] == '*' ? 1 : strtoull(c, 0, 10);
	r->to = c[0] == '*' || strchr(c, '+') ? UINT64_MAX : r->from;
	return 0;
}

// standin_control takes lines; it returns how many were not understood.
EXPORT int32_t standin_control(const char *text) {
	int bad = 0;
	char *copy = strdup(text), *save = 0;
	pthread_mutex_lock(&rules_mu);
	for (char *l = strtok_r(copy, "\n;", &save); l; l = strtok_r(0, "\n;", &save))
		if (line(l) != 0) bad++;
	atomic_store(&rules_active, nrules > 0);
	pthread_mutex_unlock(&rules_mu);
	free(copy);
	return bad;
}

// watch reads the control file again when it has changed: its lines replace all rules.
static void read_control(const char *path) {
	char text[16384];
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0) return;
	ssize_t n = read(fd, text, sizeof text - 1);
	close(fd);
	if (n < 0) return;
	text[n] = 0;
	standin_control("clear");
	standin_control(text);
}

static void *watch(void *path) {
	struct stat was = {0}, is;
	stat(path, &was);
	for (;; pause_us(10000)) {
		if (stat(path, &is) != 0) continue;
		if (is.st_mtim.tv_sec == was.st_mtim.tv_sec && is.st_mtim.tv_nsec == was.st_mtim.tv_nsec && is.st_ino == was.st_ino) continue;
		was = is;
		read_control(path);
	}
	return 0;
}

static void map_shared(void) {
	const char *path = getenv("STANDIN_STATE");
	char self[64];
	int fd;
	if (!path) {
		fd = memfd_create("standin", MFD_CLOEXEC);
		snprintf(self, sizeof self, "/proc/self/fd/%d", fd);
		setenv("STANDIN_STATE", self, 1); // the other library of this process finds it there
	} else if ((fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600)) < 0) {
		fd = memfd_create("standin", MFD_CLOEXEC);
	}
	if (ftruncate(fd, sizeof *shared) != 0) abort();
	shared = mmap(0, sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (shared == MAP_FAILED) abort();
	if (shared->magic != MAGIC) {
#define X(p, d) atomic_store(&shared->p, d);
		PARAMS(X)
#undef X
		shared->magic = MAGIC;
	}
}

__attribute__((constructor)) static void standin_begin(void) {
	map_shared();
	const char *control = getenv("STANDIN_CONTROL");
	if (!control) return;
	read_control(control);
	pthread_t t;
	if (pthread_create(&t, 0, watch, (void *)control) == 0) pthread_detach(t);
}

// Echoes of each shape of signature, to prove the calling convention from Go.
EXPORT int64_t standin_echo_17(uintptr_t a, int8_t b, int16_t c, int16_t d, int16_t e, int16_t f, int16_t g, int16_t h, int16_t i,
	int16_t j, int16_t k, uint8_t l, uint8_t m, uint8_t n, uint8_t o, uint8_t p, uint8_t q) {
	return (int64_t)a + 2 * b + 3 * c + 4 * d + 5 * e + 6 * f + 7 * g + 8 * h + 9 * i + 10 * j + 11 * k + 12 * l + 13 * m + 14 * n + 15 * o + 16 * p + 17 * q;
}
EXPORT int32_t standin_echo_mixed(uintptr_t a, float b, float c, float d, float e, uint64_t f) { return (int32_t)(a + b * 2 + c * 3 + d * 4 + e * 5 + f * 6); }
EXPORT int32_t standin_echo_filter(int32_t a, dcmi_event_filter f, unsigned char *copy) {
	for (size_t i = 0; i < sizeof f; i++) copy[i] = ((unsigned char *)&f)[i];
	return a;
}
EXPORT int32_t standin_echo_negative(void) { return -8255; }
EXPORT uint32_t standin_echo_u32(void) { return 0xFFFFFFFFu; }
EXPORT uintptr_t standin_echo_size(uintptr_t n) { return n + (1ull << 32); }
EXPORT const char *standin_echo_text(int32_t null) { return null ? 0 : "text"; }
struct callback { int32_t (*f)(uintptr_t); uintptr_t arg; int32_t out; };
static void *call_back(void *p) { struct callback *c = p; c->out = c->f(c->arg); return 0; }
EXPORT int32_t standin_echo_callback(int32_t (*f)(uintptr_t), uintptr_t arg) {
	struct callback c = {f, arg, 0};
	pthread_t t;
	if (pthread_create(&t, 0, call_back, &c) != 0) return -1;
	pthread_join(t, 0);
	return c.out;
}
EXPORT int32_t standin_echo_fast(uint32_t id, uintptr_t in, uintptr_t out, uintptr_t stream) { return (int32_t)(id + in + out + stream); }
EXPORT int64_t standin_loop_ns(uint64_t n) { // the same call from C, for comparison
	int32_t (*volatile f)(uint32_t, uintptr_t, uintptr_t, uintptr_t) = standin_echo_fast;
	volatile int32_t sum = 0;
	int64_t t = now_ns();
	for (uint64_t i = 0; i < n; i++) sum += f((uint32_t)i, 1, 2, 3);
	return now_ns() - t;
}
// The handlers of an old trace library: without SA_ONSTACK; they put the one before them back and raise the signal again.
static struct sigaction before[64];
static void on_signal(int n, siginfo_t *i, void *c) {
	(void)i, (void)c;
	sigaction(n, &before[n], 0);
	raise(n);
}
EXPORT int32_t standin_echo_signals(void) {
	static const int all[] = {SIGINT, SIGTERM, SIGQUIT, SIGILL, SIGTRAP, SIGABRT, SIGBUS, SIGFPE, SIGSEGV, SIGXCPU, SIGXFSZ, SIGSYS, 35};
	struct sigaction a;
	memset(&a, 0, sizeof a);
	a.sa_flags = SA_SIGINFO;
	a.sa_sigaction = on_signal;
	for (unsigned i = 0; i < sizeof all / sizeof *all; i++) sigaction(all[i], &a, &before[all[i]]);
	return sizeof all / sizeof *all;
}
__attribute__((constructor)) static void standin_signals(void) {
	const char *mode = getenv("ASCEND_COREDUMP_SIGNAL"), *on = getenv("STANDIN_SIGNALS");
	if (on && (strcmp(on, "force") == 0 || !mode || strcmp(mode, "none") != 0)) standin_echo_signals();
}
