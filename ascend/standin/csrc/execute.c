// Execution of models.
#include "model.h"
#include <math.h>

void free_run(struct run *r) { free(r->aipp), free(r); }
static int32_t prepare(uint32_t id, uintptr_t in, uintptr_t out, struct model **mp, struct run **rp) {
	struct model *m = find_model(id);
	if (!m) return fail(145003, "aclmdlExecute: EE1001: no model %u", id);
	if (m->ctx != current) return fail(107004, "aclmdlExecute: EE1001: the model was loaded in another context");
	if (!is(in, K_DATASET) || !is(out, K_DATASET)) return fail(100000, "aclmdlExecute: EE1001: not a dataset");
	if (gone()) return fail(507899, "aclmdlExecute: EE9999: device lost");
	struct dataset *i = (struct dataset *)in, *o = (struct dataset *)out;
	struct image *im = m->im;
	if (i->n != image_inputs(im)) return fail(100017, "aclmdlExecute: EE1001: %zu inputs given, %zu wanted", i->n, image_inputs(im));
	for (size_t k = im->h.inputs; k < i->n; k++) {
		uint8_t *real;
		if (i->b[k]->n < image_extra_bytes(im, k) || locate(i->b[k]->p, image_extra_bytes(im, k), &real) != DEVICE) return fail(145011, "aclmdlExecute: EE1001: the buffer for %s is too small", image_extra(im, k));
	}
	if (image_dynamic(im) >= 0 && !i->aipp) return fail(145015, "aclmdlExecute: EE1001: the preprocessing is not set");
	if (o->n != im->h.outputs) return fail(100018, "aclmdlExecute: EE1001: %zu outputs given, %u wanted", o->n, im->h.outputs);
	struct run *r = calloc(1, sizeof *r);
	r->batch = im->h.gears ? i->batch : m->batch;
	if (image_dynamic(im) >= 0) {
		struct tensor *t = &im->t[image_dynamic(im)];
		int planar = t->format == ACL_FORMAT_NCHW;
		uint32_t w, h;
		for (uint64_t b = 0; b < r->batch; b++)
			if (r->batch > i->aipp->batch || !aipp_size(i->aipp, b, &w, &h) || w != (uint32_t)t->dims[planar ? 3 : 2] || h != (uint32_t)t->dims[planar ? 2 : 1]) {
				free(r);
				return fail(145016, "aclmdlExecute: EE1001: the preprocessing does not give the network's size for picture %lu", (long)b);
			}
		r->aipp = malloc(sizeof *r->aipp);
		*r->aipp = *i->aipp;
	}
	if (!r->batch) { free_run(r); return fail(145013, "aclmdlExecute: EE1001: the batch size is not set"); }
	for (size_t k = 0; k < im->h.inputs + im->h.outputs; k++) {
		struct buffer *b = k < im->h.inputs ? i->b[k] : o->b[k - im->h.inputs];
		size_t need = tensor_bytes(im, &im->t[k], r->batch);
		uint8_t *real;
		if (k >= im->h.inputs && !b->p && !b->n) { // the runtime allocates
			if (!(b->p = device_alloc(current->device, need, 0))) { free_run(r); return fail(245000, "aclmdlExecute: EL0004: no memory for an output"); }
			b->n = need;
		}
		if (b->n < need || locate(b->p, need, &real) != DEVICE) { free_run(r); return fail(145011, "aclmdlExecute: EE1001: tensor %zu needs %zu bytes of device memory, its buffer has %zu", k, need, b->n); }
		r->b[k].p = real, r->b[k].n = need;
	}
	*mp = m, *rp = r;
	return 0;
}
static float half(uint16_t h) {
	uint32_t e = h >> 10 & 31, f = h & 1023;
	float v = e == 31 ? (f ? NAN : INFINITY) : e ? ldexpf((float)(f | 1024), (int)e - 25) : ldexpf((float)f, -24);
	return h & 0x8000 ? -v : v;
}
static float element(struct tensor *t, const uint8_t *p, size_t i) {
	float v = t->type == ACL_UINT8 ? p[i] : t->type == ACL_FLOAT16 ? half(((const uint16_t *)p)[i]) : t->type == ACL_INT32 ? (float)((const int32_t *)p)[i] : ((const float *)p)[i];
	return t->aipp ? (v - t->aipp_mean) * t->aipp_scale : v;
}
// input reads one item of an input as the network sees it, and returns how many elements it has.
static size_t input(struct run *r, struct tensor *t, const uint8_t *p, uint64_t b, float *x) {
	size_t n = tensor_items(t);
	int planar = t->format == ACL_FORMAT_NCHW;
	if (t->aipp == AIPP_DYNAMIC) {
		aipp_picture(r->aipp, b, p + b * aipp_source(r->aipp), x, planar);
	} else if (t->aipp == AIPP_STATIC_YUV) {
		struct aipp a = {.format = ACL_YUV420SP_U8, .w = (int32_t)t->dims[2], .h = (int32_t)t->dims[1], .csc = 1, .matrix = {256, 0, 359, 256, -88, -183, 256, 454, 0}, .in_bias = {0, 128, 128}};
		for (int k = 0; k < 3; k++) a.item[0].min[k] = t->aipp_mean, a.item[0].reci[k] = t->aipp_scale;
		aipp_picture(&a, 0, p + b * (n / 2), x, planar);
	} else {
		for (size_t i = 0; i < n; i++) x[i] = element(t, p, b * n + i);
	}
	return n;
}
static uint32_t apply(struct op *op, const float *w, const float *x, float *y, float *second) {
	uint32_t n = op->in, m = op->out;
	w += op->offset;
	switch (op->kind) {
	case OP_IDENTITY: memcpy(y, x, n * sizeof *y); return n;
	case OP_LINEAR:
		for (uint32_t j = 0; j < m; j++) {
			float s = w[n * m + j];
			for (uint32_t i = 0; i < n; i++) s += w[j * n + i] * x[i];
			y[j] = s;
		}
		return m;
	case OP_SOFTMAX: {
		float top = x[0], sum = 0;
		for (uint32_t i = 1; i < n; i++) if (x[i] > top) top = x[i];
		for (uint32_t i = 0; i < n; i++) sum += y[i] = expf(x[i] - top);
		for (uint32_t i = 0; i < n; i++) y[i] /= sum;
		return n;
	}
	case OP_ARGMAX: {
		uint32_t best = 0;
		for (uint32_t i = 1; i < n; i++) if (x[i] > x[best]) best = i;
		y[0] = (float)best;
		return 1;
	}
	case OP_THRESHOLD: for (uint32_t i = 0; i < n; i++) y[i] = x[i] > w[0]; return n;
	case OP_TABLE: for (uint32_t i = 0; i < n; i++) { int k = (int)x[i]; y[i] = k >= 0 && k < (int)w[0] ? w[1 + k] : 0; } return n;
	case OP_ZSCORE: { // m series of n/m values: how far the last quarter's mean is from the rest, in deviations
		uint32_t len = n / m, head = len - len / 4;
		y[0] = 0;
		for (uint32_t s = 0; s < m; s++) {
			double sum = 0, sq = 0, tail = 0;
			for (uint32_t i = 0; i < head; i++) sum += x[s * len + i];
			for (uint32_t i = 0; i < head; i++) { double d = x[s * len + i] - sum / head; sq += d * d; }
			for (uint32_t i = head; i < len; i++) tail += x[s * len + i];
			second[s] = (float)(fabs(tail / (len - head) - sum / head) / (sqrt(sq / head) + w[0]));
			if (second[s] > y[0]) y[0] = second[s];
		}
		return 1;
	}
	}
	return 0;
}

_Atomic uint64_t abandon; // raised by a forced reset: what sleeps on the device wakes

int32_t execute(struct model *m, struct run *r, int32_t device) {
	if (atomic_exchange(&m->running, 1)) { fputs("stand-in: one model is executed twice at once\n", stderr); abort(); }
	pthread_mutex_lock(&device_mu[device]);
	int64_t begun = now_ns();
	uint64_t was = atomic_load(&abandon);
	int32_t code = 0;
	COUNT(task);
	if (atomic_load(&rules_active)) { struct verdict v = standin_rule(&site_); code = v.hit ? (int32_t)v.code : 0; }
	int64_t limit = atomic_load(&shared->batch_limit);
	if (limit && (int64_t)r->batch > limit) code = 207001; // a larger batch finds no memory to work in
	int64_t us = atomic_load(&shared->execute_us) + atomic_load(&shared->item_us) * (int64_t)r->batch;
	if (atomic_load(&shared->jitter_us)) us += rand() % atomic_load(&shared->jitter_us);
	for (; us > 0 && atomic_load(&abandon) == was; us -= 20000) pause_us(us < 20000 ? us : 20000);
	struct image *im = m->im;
	size_t n = 0, largest;
	for (uint32_t k = 0; k < im->h.inputs; k++) n += tensor_items(&im->t[k]); // the network sees its inputs one behind the other
	largest = n;
	for (uint32_t k = 0; k < im->h.ops; k++) if (im->op[k].out > largest) largest = im->op[k].out;
	float *x = malloc((largest + 1) * sizeof *x), *y = malloc((largest + 1) * sizeof *y), second[4096];
	for (uint64_t b = 0; b < r->batch && !code; b++) {
		size_t at = 0;
		for (uint32_t k = 0; k < im->h.inputs; k++) at += input(r, &im->t[k], r->b[k].p, b, x + at);
		uint32_t len = (uint32_t)n;
		for (uint32_t k = 0; k < im->h.ops; k++) {
			len = apply(&im->op[k], im->w, x, y, second);
			float *t = x; x = y; y = t;
		}
		size_t want = tensor_items(&im->t[im->h.inputs]);
		memcpy((float *)r->b[im->h.inputs].p + b * want, x, (want < len ? want : len) * sizeof *x);
		if (im->h.outputs > 1) { size_t k = tensor_items(&im->t[im->h.inputs + 1]); memcpy((float *)r->b[im->h.inputs + 1].p + b * k, second, k * sizeof *second); }
		if (atomic_load(&shared->corrupt)) ((uint8_t *)r->b[im->h.inputs].p)[b * want * 4 + 3] ^= 0x41;
	}
	free(x), free(y);
	atomic_fetch_add(&shared->busy_ns[device], now_ns() - begun);
	atomic_fetch_add(&shared->executed[device], 1);
	pthread_mutex_unlock(&device_mu[device]);
	atomic_store(&m->running, 0);
	return code;
}

static int32_t enqueue(uint32_t id, uintptr_t in, uintptr_t out, uintptr_t stream, int wait, int32_t ms) {
	struct stream *s = 0;
	struct model *m = 0;
	struct run *r = 0;
	int32_t e = need_stream("aclmdlExecute", stream, &s);
	if (!e && s->poison) return fail(s->poison, "aclmdlExecute: EZ9999: the stream failed before");
	if (!e) e = prepare(id, in, out, &m, &r);
	if (!e) e = push(s, (struct task){.kind = T_EXECUTE, .model = m, .run = r});
	return e || !wait ? e : wait_stream(s, ms);
}
EXPORT int32_t aclmdlExecute(uint32_t id, uintptr_t in, uintptr_t out) { ENTER(aclmdlExecute); return enqueue(id, in, out, 0, 1, -1); }
EXPORT int32_t aclmdlExecuteAsync(uint32_t id, uintptr_t in, uintptr_t out, uintptr_t s) { ENTER(aclmdlExecuteAsync); return enqueue(id, in, out, s, 0, 0); }
EXPORT uintptr_t aclmdlCreateExecConfigHandle(void) {
	ENTER_PTR(aclmdlCreateExecConfigHandle);
	struct execconfig *c = make(K_EXECCONFIG, sizeof *c);
	c->timeout = -1;
	return (uintptr_t)c;
}
#define CONFIG(name) if (!is(h, K_EXECCONFIG)) return fail(100000, #name ": EE1001: not an execution configuration"); struct execconfig *c = (struct execconfig *)h
EXPORT int32_t aclmdlDestroyExecConfigHandle(uintptr_t h) { ENTER(aclmdlDestroyExecConfigHandle); CONFIG(aclmdlDestroyExecConfigHandle); drop(c, K_EXECCONFIG); return 0; }
EXPORT int32_t aclmdlSetExecConfigOpt(uintptr_t h, int32_t attr, void *value, size_t n) {
	ENTER(aclmdlSetExecConfigOpt);
	CONFIG(aclmdlSetExecConfigOpt);
	if ((attr != 0 && attr != 1) || n != 4) return fail(100000, "aclmdlSetExecConfigOpt: EE1001: attribute %d of %zu bytes", attr, n);
	if (attr == 0) c->timeout = *(int32_t *)value;
	return 0;
}
EXPORT int32_t aclmdlExecuteV2(uint32_t id, uintptr_t in, uintptr_t out, uintptr_t s, uintptr_t h) { ENTER(aclmdlExecuteV2); CONFIG(aclmdlExecuteV2); return enqueue(id, in, out, s, 1, c->timeout); }
EXPORT int32_t aclmdlExecuteAsyncV2(uint32_t id, uintptr_t in, uintptr_t out, uintptr_t s, uintptr_t h) { ENTER(aclmdlExecuteAsyncV2); CONFIG(aclmdlExecuteAsyncV2); (void)c; return enqueue(id, in, out, s, 0, 0); }
