#include "acl.h"
#include <errno.h>
#include <signal.h>
#include <stdarg.h>
#include <time.h>
#include <unistd.h>

__thread struct context *current;
static __thread char message[512];
static __thread int has_message;
static __thread int32_t last_error;
static __thread int32_t current_device = -1;
_Atomic int live[K_COUNT];
pthread_mutex_t device_mu[MAX_DEVICES] = {[0 ... MAX_DEVICES - 1] = PTHREAD_MUTEX_INITIALIZER};
static pthread_mutex_t mu = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t recorded;
__attribute__((constructor)) static void make_cond(void) {
	pthread_condattr_t a;
	pthread_condattr_init(&a);
	pthread_condattr_setclock(&a, CLOCK_MONOTONIC);
	pthread_cond_init(&recorded, &a);
}
static int inits, finalized;
static struct { int count; struct context *def; } devices[MAX_DEVICES];
static _Atomic uint32_t stream_ids;
static _Atomic(void (*)(uintptr_t)) exception_callback;

int32_t fail(int32_t code, const char *format, ...) {
	va_list a;
	va_start(a, format);
	vsnprintf(message, sizeof message, format, a);
	va_end(a);
	has_message = 1;
	last_error = code;
	return code;
}

void *make(enum kind k, size_t n) {
	struct object *o = calloc(1, n);
	o->magic = OBJ(k);
	atomic_fetch_add(&live[k], 1);
	return o;
}

// Freed objects rest in a ring before their memory is given back, so that a late use is found, not crashed upon.
void drop(void *p, enum kind k) {
	static void *rest[1024];
	static unsigned at;
	((struct object *)p)->magic = 0xDEAD;
	atomic_fetch_sub(&live[k], 1);
	pthread_mutex_lock(&mu);
	void *old = rest[at];
	rest[at] = p;
	at = (at + 1) % 1024;
	pthread_mutex_unlock(&mu);
	free(old);
}

int is(uintptr_t h, enum kind k) { return h && ((struct object *)h)->magic == OBJ(k); }

EXPORT int64_t standin_leaks(char *text, uint64_t n) {
	static const char *names[] = {"", "contexts", "streams", "events", "buffers", "datasets", "descs", "exec configs", "models", "device memory", "host memory", "model configs", "AIPP sets", "channel descs", "channels", "picture descs", "regions", "resize configs"};
	int64_t sum = 0;
	size_t at = 0;
	text[0] = 0;
	for (int k = 1; k < K_COUNT; k++) {
		int v = atomic_load(&live[k]);
		sum += v;
		if (v && at < n) at += snprintf(text + at, n - at, "%s%d %s", at ? ", " : "", v, names[k]);
	}
	return sum;
}

int gone(void) { return atomic_load(&shared->lost) != 0; }
#define ALIVE(symbol) if (gone()) return fail(507010, #symbol ": EE9999: device lost heartbeat")

int32_t need_context(const char *symbol) {
	if (!current || current->o.magic != OBJ(K_CONTEXT)) return fail(107002, "%s: EE1001: this thread has no context", symbol);
	return 0;
}
int32_t need_stream(const char *symbol, uintptr_t h, struct stream **out) {
	int32_t e = need_context(symbol);
	if (e) return e;
	if (!h) { *out = current->def; return 0; }
	if (!is(h, K_STREAM)) return fail(107017, "%s: EE1001: %#lx is not a stream", symbol, (long)h);
	*out = (struct stream *)h;
	if ((*out)->ctx != current) return fail(107003, "%s: EE1001: the stream is of another context", symbol);
	return 0;
}

static struct context *new_context(int32_t device, int is_default) {
	struct context *c = make(K_CONTEXT, sizeof *c);
	c->device = device;
	c->is_default = is_default;
	c->def = open_stream(c);
	return c;
}
static void free_context(struct context *c) {
	close_stream(c->def, 1);
	drop(c, K_CONTEXT);
}

EXPORT int32_t aclInit(uint8_t *path) {
	ENTER(aclInit);
	(void)path;
	if (atomic_load(&shared->stub)) { puts("this is the link-time stub"); return 100039; }
	pthread_mutex_lock(&mu);
	int n = inits++;
	finalized = 0;
	pthread_mutex_unlock(&mu);
	return n ? fail(100002, "aclInit: EE1001: repeated initialisation") : 0;
}
EXPORT int32_t aclFinalize(void) {
	ENTER(aclFinalize);
	pthread_mutex_lock(&mu);
	int again = finalized || !inits;
	inits = 0;
	finalized = 1;
	pthread_mutex_unlock(&mu);
	return again ? fail(100037, "aclFinalize: EE1001: repeated finalisation") : 0;
}
EXPORT int32_t aclrtSetDevice(int32_t d) {
	ENTER(aclrtSetDevice);
	if (d < 0 || d >= atomic_load(&shared->devices)) return fail(107001, "aclrtSetDevice: EE1001: device %d does not exist", d);
	ALIVE(aclrtSetDevice);
	pause_us(atomic_exchange(&shared->setdevice_ms, 0) * 1000);
	pthread_mutex_lock(&mu);
	int first = devices[d].count++ == 0;
	pthread_mutex_unlock(&mu);
	if (first) devices[d].def = new_context(d, 1);
	current = devices[d].def;
	current_device = d;
	return 0;
}
extern _Atomic uint64_t abandon;
static struct stream *open_streams; // under mu
void forget_memory(int32_t device);
void forget_models(void);
// forced gives up everything on the device at once: what its owners still hold is void.
static void forced(int32_t d) {
	pthread_mutex_lock(&mu);
	atomic_fetch_add(&abandon, 1);
	pthread_cond_broadcast(&recorded);
	pthread_mutex_unlock(&mu);
	for (;;) {
		pthread_mutex_lock(&mu);
		struct stream *s = open_streams;
		while (s && s->ctx->device != d) s = s->next;
		pthread_mutex_unlock(&mu);
		if (!s) break;
		close_stream(s, 0);
	}
	forget_memory(d);
	forget_models();
	for (int k = 1; k < K_COUNT; k++) atomic_store(&live[k], 0);
}
static int32_t reset(int32_t d, int force) {
	if (d < 0 || d >= MAX_DEVICES || !devices[d].count) return fail(107001, "aclrtResetDevice: EE1001: device %d is not set", d);
	pthread_mutex_lock(&mu);
	int last = force || --devices[d].count == 0;
	struct context *c = last ? devices[d].def : 0;
	if (last) devices[d].count = 0, devices[d].def = 0;
	pthread_mutex_unlock(&mu);
	if (force) forced(d), current = 0;
	else if (c) free_context(c);
	if (current == c) current = 0;
	if (force && !atomic_load(&shared->lost_forever)) atomic_store(&shared->lost, 0);
	return 0;
}
EXPORT int32_t aclrtResetDevice(int32_t d) { ENTER(aclrtResetDevice); return reset(d, 0); }
EXPORT int32_t aclrtResetDeviceForce(int32_t d) { ENTER(aclrtResetDeviceForce); return reset(d, 1); }
EXPORT int32_t aclrtGetDevice(int32_t *d) {
	ENTER(aclrtGetDevice);
	if (!current) return fail(107002, "aclrtGetDevice: EE1001: this thread has no context");
	*d = current->device;
	return 0;
}
EXPORT int32_t aclrtGetDeviceCount(uint32_t *n) { ENTER(aclrtGetDeviceCount); *n = (uint32_t)atomic_load(&shared->devices); return 0; }
EXPORT int32_t aclrtGetRunMode(int32_t *m) { ENTER(aclrtGetRunMode); *m = ACL_HOST; return 0; }
EXPORT const char *aclrtGetSocName(void) { ENTER_PTR(aclrtGetSocName); return "Ascend310P3"; }
EXPORT int32_t aclrtCreateContext(uintptr_t *out, int32_t d) {
	ENTER(aclrtCreateContext);
	if (d < 0 || d >= atomic_load(&shared->devices)) return fail(107001, "aclrtCreateContext: EE1001: device %d does not exist", d);
	ALIVE(aclrtCreateContext);
	current = new_context(d, 0);
	*out = (uintptr_t)current;
	return 0;
}
EXPORT int32_t aclrtDestroyContext(uintptr_t h) {
	ENTER(aclrtDestroyContext);
	if (!is(h, K_CONTEXT)) return fail(107017, "aclrtDestroyContext: EE1001: not a context");
	if (current == (struct context *)h) current = 0;
	free_context((struct context *)h);
	return 0;
}
EXPORT int32_t aclrtSetCurrentContext(uintptr_t h) {
	ENTER(aclrtSetCurrentContext);
	if (!is(h, K_CONTEXT)) return fail(107017, "aclrtSetCurrentContext: EE1001: not a context");
	current = (struct context *)h;
	return 0;
}
EXPORT int32_t aclrtGetCurrentContext(uintptr_t *out) {
	ENTER(aclrtGetCurrentContext);
	int32_t e = need_context("aclrtGetCurrentContext");
	*out = (uintptr_t)current;
	return e;
}
EXPORT int32_t aclrtQueryDeviceStatus(int32_t d, int32_t *s) { ENTER(aclrtQueryDeviceStatus); (void)d; *s = gone() ? 1 : 0; return 0; }
EXPORT int32_t aclrtGetDeviceUtilizationRate(int32_t d, void *p) {
	ENTER(aclrtGetDeviceUtilizationRate);
	ALIVE(aclrtGetDeviceUtilizationRate);
	aclrtUtilizationInfo *u = p;
	if (u->utilizationExtend) return fail(100000, "aclrtGetDeviceUtilizationRate: EE1001: extend must be NULL");
	static int64_t at[MAX_DEVICES], busy[MAX_DEVICES];
	int64_t t = now_ns(), b = atomic_load(&shared->busy_ns[d]);
	u->cubeUtilization = t > at[d] ? (int32_t)((b - busy[d]) * 100 / (t - at[d])) : 0;
	if (u->cubeUtilization > 100) u->cubeUtilization = 100;
	at[d] = t, busy[d] = b;
	u->vectorUtilization = -1, u->aicpuUtilization = 0, u->memoryUtilization = -1;
	return 0;
}
EXPORT const char *aclGetRecentErrMsg(void) {
	static __thread char out[512];
	ENTER_PTR(aclGetRecentErrMsg);
	if (!has_message) return 0;
	strcpy(out, message);
	has_message = 0;
	return out;
}
EXPORT int32_t aclrtPeekAtLastError(int32_t level) { ENTER(aclrtPeekAtLastError); (void)level; return last_error; }
EXPORT int32_t aclrtGetLastError(int32_t level) { ENTER(aclrtGetLastError); (void)level; int32_t e = last_error; last_error = 0; return e; }
EXPORT int32_t aclrtGetVersion(int32_t *a, int32_t *b, int32_t *c) { ENTER(aclrtGetVersion); *a = 1, *b = (int32_t)atomic_load(&shared->version_minor), *c = 0; return 0; }
EXPORT int32_t aclsysGetCANNVersion(int32_t name, void *p) {
	ENTER(aclsysGetCANNVersion);
	aclCANNPackageVersion *v = p;
	if (name < 0 || name > 7) return fail(100000, "aclsysGetCANNVersion: EE1001: package %d", name);
	memset(v, 0, sizeof *v);
	strcpy(v->version, "8.1.RC1"), strcpy(v->major, "8"), strcpy(v->minor, "1"), strcpy(v->release, "RC1");
	return 0;
}
EXPORT int32_t aclrtSetOpExecuteTimeOut(uint32_t s) { ENTER(aclrtSetOpExecuteTimeOut); (void)s; return 0; }

// Exceptions: the information is valid during the call only, and the call comes from a thread of ours.
struct exception { uint32_t magic, task, stream, thread, device, code; };
EXPORT int32_t aclrtSetExceptionInfoCallback(uintptr_t f) { ENTER(aclrtSetExceptionInfoCallback); atomic_store(&exception_callback, (void (*)(uintptr_t))f); return 0; }
#define GETTER(name, field) \
	EXPORT uint32_t aclrtGet##name##FromExceptionInfo(uintptr_t p) { ENTER(aclrtGet##name##FromExceptionInfo); struct exception *e = (void *)p; return e && e->magic == 0xE0 ? e->field : 0xFFFFFFFFu; }
GETTER(TaskId, task)
GETTER(StreamId, stream)
GETTER(ThreadId, thread)
GETTER(DeviceId, device)
GETTER(ErrorCode, code)

static void *tell(void *p) {
	void (*f)(uintptr_t) = atomic_load(&exception_callback);
	if (f) f((uintptr_t)p);
	return 0;
}
// model_fault poisons the stream and tells the callback, from several threads at once.
int32_t model_fault(struct stream *s, struct task *t, int32_t code) {
	struct exception e = {0xE0, t->id, s->id, (uint32_t)gettid(), (uint32_t)s->ctx->device, (uint32_t)code};
	int n = (int)atomic_load(&shared->callback_twins);
	pthread_t th[8];
	if (n > 8) n = 8;
	if (!atomic_load(&exception_callback)) n = 0;
	for (int i = 0; i < n; i++) pthread_create(&th[i], 0, tell, &e);
	for (int i = 0; i < n; i++) pthread_join(th[i], 0);
	e.magic = 0xBAD;
	return code;
}

// Streams.
static int32_t run_task(struct stream *s, struct task *t) {
	switch (t->kind) {
	case T_COPY: memcpy(t->dst, t->src, t->n); return 0;
	case T_SET: memset(t->dst, t->value, t->n); return 0;
	case T_EXECUTE: {
		int32_t e = execute(t->model, t->run, s->ctx->device);
		return e ? model_fault(s, t, e) : 0;
	}
	case T_CALL: return t->call(t->arg);
	case T_RECORD:
		pthread_mutex_lock(&mu);
		t->event->pending--, t->event->recorded = 1, t->event->at = now_ns();
		pthread_cond_broadcast(&recorded);
		pthread_mutex_unlock(&mu);
		return 0;
	case T_WAIT:
	{
		uint64_t was = atomic_load(&abandon);
		pthread_mutex_lock(&mu);
		while (t->event->pending > 0 && atomic_load(&abandon) == was) pthread_cond_wait(&recorded, &mu);
		pthread_mutex_unlock(&mu);
		return 0;
	}
	}
	return 507000;
}

static void *work(void *p) {
	struct stream *s = p;
	sigset_t all;
	sigfillset(&all);
	sigdelset(&all, SIGSEGV), sigdelset(&all, SIGABRT);
	pthread_sigmask(SIG_BLOCK, &all, 0);
	pthread_mutex_lock(&s->mu);
	for (;;) {
		while (!s->head && !s->closing) pthread_cond_wait(&s->cond, &s->mu);
		struct task *t = s->head;
		if (!t) break;
		pthread_mutex_unlock(&s->mu);
		int32_t e = s->poison && t->kind != T_RECORD ? 0 : gone() ? 507899 : run_task(s, t);
		pthread_mutex_lock(&s->mu);
		if (t->kind == T_RECORD && e) { pthread_mutex_lock(&mu); t->event->pending--, t->event->recorded = 1; pthread_cond_broadcast(&recorded); pthread_mutex_unlock(&mu); }
		if (e && !s->poison) s->poison = e;
		s->head = t->next;
		if (!s->head) s->tail = 0;
		s->pending--;
		if (t->run) free_run(t->run);
		free(t->arg);
		free(t);
		pthread_cond_broadcast(&s->idle);
	}
	pthread_mutex_unlock(&s->mu);
	return 0;
}

struct stream *open_stream(struct context *c) {
	struct stream *s = make(K_STREAM, sizeof *s);
	pthread_condattr_t a;
	pthread_condattr_init(&a);
	pthread_condattr_setclock(&a, CLOCK_MONOTONIC);
	pthread_mutex_init(&s->mu, 0);
	pthread_cond_init(&s->cond, &a), pthread_cond_init(&s->idle, &a);
	s->ctx = c;
	s->id = atomic_fetch_add(&stream_ids, 1);
	pthread_create(&s->thread, 0, work, s);
	pthread_mutex_lock(&mu);
	s->next = open_streams, open_streams = s;
	pthread_mutex_unlock(&mu);
	return s;
}
void close_stream(struct stream *s, int wait) {
	pthread_mutex_lock(&s->mu);
	if (!wait) // what has not begun is forgotten
		for (struct task *t = s->head; t && t->next;) { struct task *n = t->next; t->next = n->next; if (n->run) free_run(n->run); free(n->arg); free(n); s->pending--; }
	s->closing = 1;
	pthread_cond_broadcast(&s->cond);
	pthread_mutex_unlock(&s->mu);
	pthread_join(s->thread, 0);
	pthread_mutex_lock(&mu);
	struct stream **p = &open_streams;
	while (*p && *p != s) p = &(*p)->next;
	if (*p) *p = s->next;
	pthread_mutex_unlock(&mu);
	drop(s, K_STREAM);
}
int32_t push(struct stream *s, struct task t) {
	struct task *p = malloc(sizeof t);
	*p = t;
	p->next = 0;
	pthread_mutex_lock(&s->mu);
	p->id = s->tasks++;
	if (s->tail) s->tail->next = p; else s->head = p;
	s->tail = p;
	s->pending++;
	pthread_cond_signal(&s->cond);
	pthread_mutex_unlock(&s->mu);
	return 0;
}
static struct timespec deadline(int32_t ms) {
	int64_t t = now_ns() + (int64_t)ms * 1000000;
	return (struct timespec){t / 1000000000, t % 1000000000};
}
int32_t wait_stream(struct stream *s, int32_t ms) {
	struct timespec until = deadline(ms < 0 ? 0 : ms);
	int32_t e = 0;
	pthread_mutex_lock(&s->mu);
	while (s->pending > 0 && !e) {
		if (ms < 0) pthread_cond_wait(&s->idle, &s->mu);
		else if (pthread_cond_timedwait(&s->idle, &s->mu, &until) == ETIMEDOUT && s->pending > 0) e = 507046;
	}
	if (!e) e = s->poison;
	pthread_mutex_unlock(&s->mu);
	if (e == 507046) return fail(e, "EE9999: stream synchronisation timed out after %d ms, %d tasks pending", ms, s->pending);
	return e ? fail(e, "EZ9999: a task of stream %u failed with %d", s->id, e) : 0;
}
EXPORT int32_t aclrtCreateStream(uintptr_t *out) {
	ENTER(aclrtCreateStream);
	int32_t e = need_context("aclrtCreateStream");
	if (e) return e;
	ALIVE(aclrtCreateStream);
	*out = (uintptr_t)open_stream(current);
	return 0;
}
static int32_t destroy_stream(const char *name, uintptr_t h, int wait) {
	struct stream *s = 0;
	if (!h) return fail(107000, "%s: EE1001: NULL", name);
	if (!is(h, K_STREAM)) return fail(107017, "%s: EE1001: not a stream", name);
	s = (struct stream *)h;
	close_stream(s, wait);
	return 0;
}
EXPORT int32_t aclrtDestroyStream(uintptr_t h) { ENTER(aclrtDestroyStream); return destroy_stream("aclrtDestroyStream", h, 1); }
EXPORT int32_t aclrtDestroyStreamForce(uintptr_t h) { ENTER(aclrtDestroyStreamForce); return destroy_stream("aclrtDestroyStreamForce", h, 0); }
EXPORT int32_t aclrtSynchronizeStream(uintptr_t h) {
	ENTER(aclrtSynchronizeStream);
	struct stream *s = 0;
	int32_t e = need_stream("aclrtSynchronizeStream", h, &s);
	return e ? e : wait_stream(s, -1);
}
EXPORT int32_t aclrtSynchronizeStreamWithTimeout(uintptr_t h, int32_t ms) {
	ENTER(aclrtSynchronizeStreamWithTimeout);
	struct stream *s = 0;
	int32_t e = need_stream("aclrtSynchronizeStreamWithTimeout", h, &s);
	return e ? e : wait_stream(s, ms);
}
EXPORT int32_t aclrtSynchronizeDevice(void) {
	ENTER(aclrtSynchronizeDevice);
	int32_t e = need_context("aclrtSynchronizeDevice");
	return e ? e : wait_stream(current->def, -1);
}
EXPORT int32_t aclrtStreamQuery(uintptr_t h, int32_t *out) {
	ENTER(aclrtStreamQuery);
	struct stream *s = 0;
	int32_t e = need_stream("aclrtStreamQuery", h, &s);
	if (e) return e;
	pthread_mutex_lock(&s->mu);
	*out = s->pending ? ACL_STREAM_STATUS_NOT_READY : ACL_STREAM_STATUS_COMPLETE;
	pthread_mutex_unlock(&s->mu);
	return 0;
}
EXPORT int32_t aclrtSetStreamFailureMode(uintptr_t h, uint64_t m) {
	ENTER(aclrtSetStreamFailureMode);
	struct stream *s = 0;
	int32_t e = need_stream("aclrtSetStreamFailureMode", h, &s);
	return e ? e : m > 1 ? fail(107000, "aclrtSetStreamFailureMode: EE1001: mode %lu", (long)m) : 0;
}

// Events.
#define EVENT(name) if (!is(h, K_EVENT)) return fail(107017, #name ": EE1001: not an event"); struct event *v = (struct event *)h
EXPORT int32_t aclrtCreateEvent(uintptr_t *out) {
	ENTER(aclrtCreateEvent);
	int32_t e = need_context("aclrtCreateEvent");
	if (e) return e;
	struct event *v = make(K_EVENT, sizeof *v);
	v->ctx = current;
	*out = (uintptr_t)v;
	return 0;
}
EXPORT int32_t aclrtDestroyEvent(uintptr_t h) { ENTER(aclrtDestroyEvent); EVENT(aclrtDestroyEvent); drop(v, K_EVENT); return 0; }
static int32_t on_stream(const char *name, uintptr_t h, uintptr_t sh, enum task_kind k) {
	struct stream *s = 0;
	int32_t e = need_stream(name, sh, &s);
	if (e) return e;
	struct event *v = (struct event *)h;
	if (k == T_RECORD) { pthread_mutex_lock(&mu); v->pending++; v->recorded = 0; pthread_mutex_unlock(&mu); }
	return push(s, (struct task){.kind = k, .event = v});
}
EXPORT int32_t aclrtRecordEvent(uintptr_t h, uintptr_t s) { ENTER(aclrtRecordEvent); EVENT(aclrtRecordEvent); (void)v; return on_stream("aclrtRecordEvent", h, s, T_RECORD); }
EXPORT int32_t aclrtStreamWaitEvent(uintptr_t s, uintptr_t h) { ENTER(aclrtStreamWaitEvent); EVENT(aclrtStreamWaitEvent); (void)v; return on_stream("aclrtStreamWaitEvent", h, s, T_WAIT); }
static int32_t wait_event(struct event *v, int32_t ms) {
	struct timespec until = deadline(ms < 0 ? 0 : ms);
	int late = 0;
	pthread_mutex_lock(&mu);
	while (v->pending > 0 && !late) {
		if (ms < 0) pthread_cond_wait(&recorded, &mu);
		else late = pthread_cond_timedwait(&recorded, &mu, &until) == ETIMEDOUT && v->pending > 0;
	}
	pthread_mutex_unlock(&mu);
	return late ? fail(507047, "EE9999: event synchronisation timed out after %d ms", ms) : 0;
}
EXPORT int32_t aclrtSynchronizeEvent(uintptr_t h) { ENTER(aclrtSynchronizeEvent); EVENT(aclrtSynchronizeEvent); return wait_event(v, -1); }
EXPORT int32_t aclrtSynchronizeEventWithTimeout(uintptr_t h, int32_t ms) { ENTER(aclrtSynchronizeEventWithTimeout); EVENT(aclrtSynchronizeEventWithTimeout); return wait_event(v, ms); }
EXPORT int32_t aclrtQueryEventStatus(uintptr_t h, int32_t *out) {
	ENTER(aclrtQueryEventStatus);
	EVENT(aclrtQueryEventStatus);
	pthread_mutex_lock(&mu);
	*out = v->pending ? ACL_EVENT_RECORDED_STATUS_NOT_READY : ACL_EVENT_RECORDED_STATUS_COMPLETE;
	pthread_mutex_unlock(&mu);
	return 0;
}
EXPORT int32_t aclrtEventElapsedTime(float *ms, uintptr_t a, uintptr_t b) {
	ENTER(aclrtEventElapsedTime);
	if (!is(a, K_EVENT) || !is(b, K_EVENT)) return fail(107017, "aclrtEventElapsedTime: EE1001: not an event");
	if (!((struct event *)a)->recorded || !((struct event *)b)->recorded) return fail(107006, "aclrtEventElapsedTime: EE1001: an event is not recorded");
	*ms = (float)(((struct event *)b)->at - ((struct event *)a)->at) / 1e6f;
	return 0;
}
