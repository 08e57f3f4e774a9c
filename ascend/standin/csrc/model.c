// Models are small containers whose results a test can compute; see model.go for the layout.
#include "acl.h"
#include <fcntl.h>
#include <math.h>
#include <sys/stat.h>
#include <unistd.h>

enum { OP_IDENTITY, OP_LINEAR, OP_SOFTMAX, OP_ARGMAX, OP_THRESHOLD, OP_TABLE, OP_ZSCORE };
enum { AIPP_NONE, AIPP_STATIC, AIPP_STATIC_YUV, AIPP_DYNAMIC }; // preprocessing of an input
struct tensor { char name[64]; int32_t type, format; uint32_t ndims; int32_t aipp; int64_t dims[8], range[8][2]; float aipp_mean, aipp_scale; int64_t source; }; // source: largest picture of dynamic preprocessing, bytes
struct op { uint32_t kind, in, out, offset; }; // lengths a batch item; offset of the parameters in floats
struct header { char magic[4]; uint32_t version, size, crc, inputs, outputs, ops, gears, weights; uint32_t hw; uint64_t gear[16][2]; };
struct image { struct header h; struct tensor *t; struct op *op; const float *w; uint8_t *bytes; }; // t: inputs, then outputs
struct model { struct object o; uint32_t id; struct context *ctx; struct image *im; struct model *next; _Atomic int running; uint64_t batch, gh, gw; };
struct desc { struct object o; struct image *im; struct model *m; };
struct buffer { struct object o; void *p; size_t n; };
struct dataset { struct object o; size_t n; struct buffer *b[16]; uint64_t batch; struct aipp *aipp; };
struct run { uint64_t batch; size_t in, out; struct { void *p; size_t n; } b[32]; struct aipp *aipp; };
struct config { struct object o; int32_t priority; size_t type, size, work_size, weight_size; const char *path; void *model, *work, *weight; };
struct execconfig { struct object o; int32_t timeout; };

static pthread_mutex_t mu = PTHREAD_MUTEX_INITIALIZER;
static struct model *models;
static uint32_t ids = 1;
#define MBATCH "ascend_mbatch_shape_data"
#define AIPPDATA "ascend_dynamic_aipp_data"

static uint32_t crc32(const uint8_t *p, size_t n) {
	uint32_t c = 0xFFFFFFFFu;
	for (size_t i = 0; i < n; i++) {
		c ^= p[i];
		for (int k = 0; k < 8; k++) c = c >> 1 ^ (0xEDB88320u & -(c & 1));
	}
	return ~c;
}

static int32_t parse(const uint8_t *p, size_t n, struct image **out) {
	struct header h;
	if (n < sizeof h) return fail(145006, "EE1001: the model has %zu bytes", n);
	memcpy(&h, p, sizeof h);
	if (memcmp(h.magic, "EDGM", 4) != 0) return fail(545001, "EE4001: this is not a model");
	if (h.version != 1) return fail(500002, "EE4001: the model needs version %u of the runtime", h.version);
	if (h.size != n) return fail(145006, "EE1001: the model says %u bytes, there are %zu", h.size, n);
	if (crc32(p + 16, n - 16) != h.crc) return fail(545001, "EE4001: checksum of the model is wrong");
	size_t at = sizeof h, tensors = (h.inputs + h.outputs) * sizeof(struct tensor);
	if (h.inputs > 8 || h.outputs > 8 || h.gears > 16 || at + tensors + h.ops * sizeof(struct op) + h.weights * 4ull != n) return fail(145006, "EE1001: parts of the model do not add up");
	struct image *im = calloc(1, sizeof *im);
	im->h = h;
	im->bytes = malloc(n);
	memcpy(im->bytes, p, n);
	im->t = (struct tensor *)(im->bytes + at);
	im->op = (struct op *)(im->bytes + at + tensors);
	im->w = (const float *)(im->bytes + at + tensors + h.ops * sizeof(struct op));
	*out = im;
	return 0;
}
static void free_image(struct image *im) { if (im) free(im->bytes), free(im); }
static int32_t slurp(const char *path, uint8_t **p, size_t *n) {
	struct stat st;
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0 || fstat(fd, &st) != 0) return fail(145002, "EE1001: %s cannot be opened", path);
	*n = (size_t)st.st_size;
	*p = malloc(*n + 1);
	ssize_t got = read(fd, *p, *n);
	close(fd);
	if (got != (ssize_t)*n) { free(*p); return fail(100014, "EE1001: %s was cut short", path); }
	return 0;
}
static size_t width(int32_t type) {
	switch (type) { case ACL_FLOAT: case ACL_INT32: case ACL_UINT32: return 4; case ACL_FLOAT16: case ACL_INT16: case ACL_UINT16: return 2; case ACL_INT64: case ACL_UINT64: case ACL_DOUBLE: return 8; case ACL_INT8: case ACL_UINT8: case ACL_BOOL: return 1; }
	return 0;
}
static uint64_t largest(struct image *im) { return im->h.gears && !im->h.hw ? im->h.gear[im->h.gears - 1][0] : 1; }
static size_t items(struct tensor *t) { // elements of one batch item
	size_t n = 1;
	for (uint32_t i = 1; i < t->ndims; i++) n *= t->dims[i] > 0 ? (size_t)t->dims[i] : 0;
	return n;
}
static size_t bytes_of(struct image *im, struct tensor *t, uint64_t batch) {
	(void)im;
	size_t n = t->dims[0] > 0 ? (size_t)t->dims[0] : batch;
	if (t->aipp == AIPP_DYNAMIC) return (size_t)t->source * n;
	if (t->aipp == AIPP_STATIC_YUV) return items(t) / 2 * n; // 12 bits a pixel for 3 channels
	return items(t) * n * width(t->type);
}
static int gears_input(struct image *im) { return im->h.gears > 0; }
// dynamic is the input whose preprocessing is set at run time, -1 if there is none.
static int dynamic(struct image *im) {
	for (uint32_t i = 0; i < im->h.inputs; i++)
		if (im->t[i].aipp == AIPP_DYNAMIC) return (int)i;
	return -1;
}
static size_t all_inputs(struct image *im) { return im->h.inputs + (size_t)gears_input(im) + (dynamic(im) >= 0); }
// extra names the inputs behind the network's own: the batch, then the preprocessing.
static const char *extra(struct image *im, uintptr_t i) {
	if (i == im->h.inputs && gears_input(im)) return MBATCH;
	return i >= im->h.inputs && i + 1 == all_inputs(im) && dynamic(im) >= 0 ? AIPPDATA : 0;
}
static size_t extra_bytes(struct image *im, uintptr_t i) { return strcmp(extra(im, i), MBATCH) == 0 ? 4 : 64 + 96 * largest(im); }

static int32_t load(const uint8_t *p, size_t n, uint32_t *id) {
	struct image *im;
	int32_t e = need_context("aclmdlLoad");
	if (e) return e;
	if (gone()) return fail(507899, "aclmdlLoad: EE9999: device lost");
	if ((e = parse(p, n, &im))) return e;
	pause_us(atomic_exchange(&shared->load_ms, 0) * 1000);
	if (atomic_load(&shared->mem_used[current->device]) + (int64_t)n > atomic_load(&shared->arena_bytes)) { free_image(im); return fail(245000, "aclmdlLoad: EL0004: no memory for the weights"); }
	struct model *m = make(K_MODEL, sizeof *m);
	m->ctx = current;
	m->im = im;
	m->batch = im->h.gears ? 0 : im->t[0].dims[0] > 0 ? (uint64_t)im->t[0].dims[0] : 1;
	pthread_mutex_lock(&mu);
	m->id = ids++;
	m->next = models, models = m;
	pthread_mutex_unlock(&mu);
	*id = m->id;
	return 0;
}
static struct model *find(uint32_t id) {
	pthread_mutex_lock(&mu);
	struct model *m = models;
	while (m && m->id != id) m = m->next;
	pthread_mutex_unlock(&mu);
	return m;
}
static int32_t load_file(const char *path, uint32_t *id) {
	uint8_t *p;
	size_t n;
	int32_t e = slurp(path, &p, &n);
	if (e) return e;
	e = load(p, n, id);
	free(p);
	return e;
}
EXPORT int32_t aclmdlLoadFromFile(const char *path, uint32_t *id) { ENTER(aclmdlLoadFromFile); return load_file(path, id); }
EXPORT int32_t aclmdlLoadFromMem(void *p, size_t n, uint32_t *id) { ENTER(aclmdlLoadFromMem); return load(p, n, id); }
static int32_t sizes(const uint8_t *p, size_t n, size_t *work, size_t *weight) {
	struct image *im;
	int32_t e = parse(p, n, &im);
	if (e) return e;
	*work = 4096, *weight = im->h.weights * 4 + 64;
	free_image(im);
	return 0;
}
static int32_t own_memory(const uint8_t *p, size_t n, void *work, size_t wn, void *weight, size_t vn) {
	size_t a, b;
	uint8_t *real;
	int32_t e = sizes(p, n, &a, &b);
	if (e) return e;
	if (wn < a || vn < b || locate(work, a, &real) != DEVICE || locate(weight, b, &real) != DEVICE) return fail(145007, "EE1001: work or weight memory is too small or not of the device");
	return 0;
}
EXPORT int32_t aclmdlLoadFromFileWithMem(const char *path, uint32_t *id, void *work, size_t wn, void *weight, size_t vn) {
	ENTER(aclmdlLoadFromFileWithMem);
	uint8_t *p;
	size_t n;
	int32_t e = slurp(path, &p, &n);
	if (e) return e;
	if (!(e = own_memory(p, n, work, wn, weight, vn))) e = load(p, n, id);
	free(p);
	return e;
}
EXPORT int32_t aclmdlLoadFromMemWithMem(void *p, size_t n, uint32_t *id, void *work, size_t wn, void *weight, size_t vn) {
	ENTER(aclmdlLoadFromMemWithMem);
	int32_t e = own_memory(p, n, work, wn, weight, vn);
	return e ? e : load(p, n, id);
}
EXPORT int32_t aclmdlQuerySize(const char *path, size_t *work, size_t *weight) {
	ENTER(aclmdlQuerySize);
	uint8_t *p;
	size_t n;
	int32_t e = slurp(path, &p, &n);
	if (e) return e;
	e = sizes(p, n, work, weight);
	free(p);
	return e;
}
EXPORT int32_t aclmdlQuerySizeFromMem(void *p, size_t n, size_t *work, size_t *weight) { ENTER(aclmdlQuerySizeFromMem); return sizes(p, n, work, weight); }
void forget_models(void) { pthread_mutex_lock(&mu); models = 0; pthread_mutex_unlock(&mu); }
EXPORT int32_t aclmdlUnload(uint32_t id) {
	ENTER(aclmdlUnload);
	pthread_mutex_lock(&mu);
	struct model **p = &models;
	while (*p && (*p)->id != id) p = &(*p)->next;
	struct model *m = *p;
	if (m) *p = m->next;
	pthread_mutex_unlock(&mu);
	if (!m) return fail(145003, "aclmdlUnload: EE1001: no model %u", id);
	free_image(m->im);
	m->im = 0;
	drop(m, K_MODEL);
	return 0;
}

// Descriptors.
EXPORT uintptr_t aclmdlCreateDesc(void) { ENTER_PTR(aclmdlCreateDesc); return (uintptr_t)make(K_DESC, sizeof(struct desc)); }
#define DESC(name, bad) if (!is(h, K_DESC) || !((struct desc *)h)->im) return bad; struct image *im = ((struct desc *)h)->im
static int32_t fill(struct desc *d, const uint8_t *p, size_t n) {
	free_image(d->im);
	d->im = 0;
	return parse(p, n, &d->im);
}
EXPORT int32_t aclmdlDestroyDesc(uintptr_t h) {
	ENTER(aclmdlDestroyDesc);
	if (!is(h, K_DESC)) return fail(100000, "aclmdlDestroyDesc: EE1001: not a description");
	free_image(((struct desc *)h)->im);
	drop((void *)h, K_DESC);
	return 0;
}
EXPORT int32_t aclmdlGetDesc(uintptr_t h, uint32_t id) {
	ENTER(aclmdlGetDesc);
	struct model *m = find(id);
	if (!is(h, K_DESC) || !m) return fail(m ? 100000 : 145003, "aclmdlGetDesc: EE1001: no model %u", id);
	((struct desc *)h)->m = m;
	return fill((struct desc *)h, m->im->bytes, m->im->h.size);
}
EXPORT int32_t aclmdlGetDescFromMem(uintptr_t h, void *p, size_t n) { ENTER(aclmdlGetDescFromMem); return is(h, K_DESC) ? fill((struct desc *)h, p, n) : fail(100000, "aclmdlGetDescFromMem: EE1001"); }
EXPORT int32_t aclmdlGetDescFromFile(uintptr_t h, const char *path) {
	ENTER(aclmdlGetDescFromFile);
	uint8_t *p;
	size_t n;
	int32_t e = is(h, K_DESC) ? slurp(path, &p, &n) : fail(100000, "aclmdlGetDescFromFile: EE1001");
	if (e) return e;
	e = fill((struct desc *)h, p, n);
	free(p);
	return e;
}
EXPORT uintptr_t aclmdlGetNumInputs(uintptr_t h) { ENTER_PTR(aclmdlGetNumInputs); DESC(x, 0); return all_inputs(im); }
EXPORT uintptr_t aclmdlGetNumOutputs(uintptr_t h) { ENTER_PTR(aclmdlGetNumOutputs); DESC(x, 0); return im->h.outputs; }
EXPORT uintptr_t aclmdlGetInputSizeByIndex(uintptr_t h, uintptr_t i) {
	ENTER_PTR(aclmdlGetInputSizeByIndex);
	DESC(x, 0);
	if (extra(im, i)) return extra_bytes(im, i);
	return i < im->h.inputs ? bytes_of(im, &im->t[i], largest(im)) : 0;
}
EXPORT uintptr_t aclmdlGetOutputSizeByIndex(uintptr_t h, uintptr_t i) { ENTER_PTR(aclmdlGetOutputSizeByIndex); DESC(x, 0); return i < im->h.outputs ? bytes_of(im, &im->t[im->h.inputs + i], largest(im)) : 0; }
static struct tensor *tensor(struct image *im, uintptr_t i, int output) {
	if (output) return i < im->h.outputs ? &im->t[im->h.inputs + i] : 0;
	return i < im->h.inputs ? &im->t[i] : 0;
}
static int32_t dims(struct tensor *t, aclmdlIODims *d, uint64_t batch) {
	if (!t) return fail(145021, "EE1001: no such tensor");
	memset(d, 0, sizeof *d);
	memcpy(d->name, t->name, sizeof t->name);
	d->dimCount = t->ndims;
	for (uint32_t i = 0; i < t->ndims; i++) d->dims[i] = t->dims[i];
	if (batch && d->dims[0] < 0) d->dims[0] = (int64_t)batch;
	return 0;
}
EXPORT int32_t aclmdlGetInputDims(uintptr_t h, uintptr_t i, void *d) { ENTER(aclmdlGetInputDims); DESC(x, 100000); return dims(tensor(im, i, 0), d, 0); }
EXPORT int32_t aclmdlGetInputDimsV2(uintptr_t h, uintptr_t i, void *d) {
	ENTER(aclmdlGetInputDimsV2);
	DESC(x, 100000);
	if (extra(im, i)) {
		struct tensor g = {.ndims = 1, .dims = {(int64_t)extra_bytes(im, i) / 4}};
		strcpy(g.name, extra(im, i));
		return dims(&g, d, 0);
	}
	struct tensor *t = tensor(im, i, 0);
	int32_t e = dims(t, d, 0);
	if (!e && t->aipp == AIPP_STATIC_YUV) ((aclmdlIODims *)d)->dims[1] = t->dims[1] * 3 / 2, ((aclmdlIODims *)d)->dims[3] = 1;
	return e;
}
EXPORT int32_t aclmdlGetOutputDims(uintptr_t h, uintptr_t i, void *d) { ENTER(aclmdlGetOutputDims); DESC(x, 100000); return dims(tensor(im, i, 1), d, largest(im)); }
EXPORT int32_t aclmdlGetCurOutputDims(uintptr_t h, uintptr_t i, void *d) {
	ENTER(aclmdlGetCurOutputDims);
	DESC(x, 100000);
	struct model *m = ((struct desc *)h)->m;
	return dims(tensor(im, i, 1), d, m && m->batch ? m->batch : largest(im));
}
EXPORT int32_t aclmdlGetInputDimsRange(uintptr_t h, uintptr_t i, void *p) {
	ENTER(aclmdlGetInputDimsRange);
	DESC(x, 100000);
	struct tensor *t = tensor(im, i, 0);
	aclmdlIODimsRange *r = p;
	if (!t) return fail(145021, "aclmdlGetInputDimsRange: EE1001: no such tensor");
	memset(r, 0, sizeof *r);
	for (uint32_t k = 0; k < t->ndims; k++)
		if (t->range[k][1]) r->rangeCount = t->ndims;
	for (size_t k = 0; k < r->rangeCount; k++) r->range[k][0] = t->range[k][0], r->range[k][1] = t->range[k][1];
	return 0;
}
EXPORT const char *aclmdlGetInputNameByIndex(uintptr_t h, uintptr_t i) {
	ENTER_PTR(aclmdlGetInputNameByIndex);
	DESC(x, "");
	if (extra(im, i)) return extra(im, i);
	struct tensor *t = tensor(im, i, 0);
	return t ? t->name : "";
}
EXPORT const char *aclmdlGetOutputNameByIndex(uintptr_t h, uintptr_t i) { ENTER_PTR(aclmdlGetOutputNameByIndex); DESC(x, ""); struct tensor *t = tensor(im, i, 1); return t ? t->name : ""; }
#define FIELD(name, output, field) EXPORT int32_t aclmdlGet##name(uintptr_t h, uintptr_t i) { ENTER(aclmdlGet##name); DESC(x, -1); struct tensor *t = tensor(im, i, output); return t ? t->field : -1; }
FIELD(InputFormat, 0, format)
FIELD(OutputFormat, 1, format)
FIELD(InputDataType, 0, type)
FIELD(OutputDataType, 1, type)
static int32_t by_name(struct image *im, const char *name, uintptr_t *i, int output) {
	for (*i = im->h.inputs; !output && *i < all_inputs(im); ++*i)
		if (strcmp(name, extra(im, *i)) == 0) return 0;
	for (*i = 0; tensor(im, *i, output); ++*i)
		if (strcmp(tensor(im, *i, output)->name, name) == 0) return 0;
	return fail(100000, "EE1001: no tensor %s", name);
}
EXPORT int32_t aclmdlGetInputIndexByName(uintptr_t h, const char *name, uintptr_t *i) { ENTER(aclmdlGetInputIndexByName); DESC(x, 100000); return by_name(im, name, i, 0); }
EXPORT int32_t aclmdlGetOutputIndexByName(uintptr_t h, const char *name, uintptr_t *i) { ENTER(aclmdlGetOutputIndexByName); DESC(x, 100000); return by_name(im, name, i, 1); }
EXPORT const char *aclmdlGetTensorRealName(uintptr_t h, const char *name) { ENTER_PTR(aclmdlGetTensorRealName); DESC(x, 0); uintptr_t i; return by_name(im, name, &i, 0) == 0 ? im->t[i].name : 0; }
EXPORT int32_t aclmdlGetDynamicBatch(uintptr_t h, void *p) {
	ENTER(aclmdlGetDynamicBatch);
	DESC(x, 100000);
	aclmdlBatch *b = p;
	memset(b, 0, sizeof *b);
	if (im->h.hw) return 0;
	b->batchCount = im->h.gears;
	for (uint32_t i = 0; i < im->h.gears; i++) b->batch[i] = im->h.gear[i][0];
	return 0;
}
EXPORT int32_t aclmdlGetDynamicHW(uintptr_t h, uintptr_t i, void *p) {
	ENTER(aclmdlGetDynamicHW);
	DESC(x, 100000);
	(void)i;
	aclmdlHW *b = p;
	memset(b, 0, sizeof *b);
	if (!im->h.hw) return 0;
	b->hwCount = im->h.gears;
	for (uint32_t k = 0; k < im->h.gears; k++) b->hw[k][0] = im->h.gear[k][0], b->hw[k][1] = im->h.gear[k][1];
	return 0;
}
EXPORT int32_t aclmdlGetInputDynamicGearCount(uintptr_t h, uintptr_t i, uintptr_t *n) { ENTER(aclmdlGetInputDynamicGearCount); DESC(x, 100000); if (i != UINTPTR_MAX) return fail(100000, "aclmdlGetInputDynamicGearCount: EE1001: index must be -1"); *n = im->h.gears; return 0; }
EXPORT int32_t aclmdlGetInputDynamicDims(uintptr_t h, uintptr_t i, void *p, uintptr_t n) {
	ENTER(aclmdlGetInputDynamicDims);
	DESC(x, 100000);
	if (i != UINTPTR_MAX || n < im->h.gears) return fail(100000, "aclmdlGetInputDynamicDims: EE1001: index must be -1 and %u dims fit", im->h.gears);
	for (uint32_t k = 0; k < im->h.gears; k++) dims(&im->t[0], (aclmdlIODims *)p + k, im->h.gear[k][0]);
	return 0;
}
EXPORT int32_t aclmdlGetAippType(uint32_t id, uintptr_t i, int32_t *type, uintptr_t *attached) {
	ENTER(aclmdlGetAippType);
	struct model *m = find(id);
	if (!m || i >= all_inputs(m->im)) return fail(145003, "aclmdlGetAippType: EE1001: no model %u or input", id);
	*attached = UINTPTR_MAX;
	if (extra(m->im, i)) { *type = strcmp(extra(m->im, i), AIPPDATA) == 0 ? ACL_DYNAMIC_AIPP_NODE : ACL_DATA_WITHOUT_AIPP; return 0; }
	int32_t kind = m->im->t[i].aipp;
	*type = kind == AIPP_DYNAMIC ? ACL_DATA_WITH_DYNAMIC_AIPP : kind ? ACL_DATA_WITH_STATIC_AIPP : ACL_DATA_WITHOUT_AIPP;
	if (kind == AIPP_DYNAMIC) *attached = all_inputs(m->im) - 1;
	return 0;
}

// Buffers and datasets.
EXPORT uintptr_t aclCreateDataBuffer(void *p, size_t n) {
	ENTER_PTR(aclCreateDataBuffer);
	struct buffer *b = make(K_BUFFER, sizeof *b);
	b->p = p, b->n = n;
	return (uintptr_t)b;
}
#define BUFFER(name) if (!is(h, K_BUFFER)) return fail(100000, #name ": EE1001: not a data buffer"); struct buffer *b = (struct buffer *)h
EXPORT int32_t aclDestroyDataBuffer(uintptr_t h) { ENTER(aclDestroyDataBuffer); BUFFER(aclDestroyDataBuffer); drop(b, K_BUFFER); return 0; }
EXPORT int32_t aclUpdateDataBuffer(uintptr_t h, void *p, size_t n) { ENTER(aclUpdateDataBuffer); BUFFER(aclUpdateDataBuffer); b->p = p, b->n = n; return 0; }
EXPORT void *aclGetDataBufferAddr(uintptr_t h) { ENTER_PTR(aclGetDataBufferAddr); return is(h, K_BUFFER) ? ((struct buffer *)h)->p : 0; }
EXPORT uintptr_t aclGetDataBufferSizeV2(uintptr_t h) { ENTER_PTR(aclGetDataBufferSizeV2); return is(h, K_BUFFER) ? ((struct buffer *)h)->n : 0; }
EXPORT uintptr_t aclDataTypeSize(int32_t t) { ENTER_PTR(aclDataTypeSize); return width(t); }
EXPORT uintptr_t aclmdlCreateDataset(void) { ENTER_PTR(aclmdlCreateDataset); return (uintptr_t)make(K_DATASET, sizeof(struct dataset)); }
EXPORT int32_t aclmdlDestroyDataset(uintptr_t h) {
	ENTER(aclmdlDestroyDataset);
	if (!is(h, K_DATASET)) return fail(100000, "aclmdlDestroyDataset: EE1001: not a dataset");
	free(((struct dataset *)h)->aipp);
	drop((void *)h, K_DATASET);
	return 0;
}
EXPORT int32_t aclmdlAddDatasetBuffer(uintptr_t h, uintptr_t b) {
	ENTER(aclmdlAddDatasetBuffer);
	struct dataset *d = (struct dataset *)h;
	if (!is(h, K_DATASET) || !is(b, K_BUFFER) || d->n == 16) return fail(100000, "aclmdlAddDatasetBuffer: EE1001");
	d->b[d->n++] = (struct buffer *)b;
	return 0;
}
EXPORT uintptr_t aclmdlGetDatasetNumBuffers(uintptr_t h) { ENTER_PTR(aclmdlGetDatasetNumBuffers); return is(h, K_DATASET) ? ((struct dataset *)h)->n : 0; }
EXPORT uintptr_t aclmdlGetDatasetBuffer(uintptr_t h, uintptr_t i) { ENTER_PTR(aclmdlGetDatasetBuffer); return is(h, K_DATASET) && i < ((struct dataset *)h)->n ? (uintptr_t)((struct dataset *)h)->b[i] : 0; }
static int32_t gear(uint32_t id, uintptr_t h, uintptr_t index, uint64_t a, uint64_t b, int hw) {
	struct model *m = find(id);
	if (!m) return fail(145003, "EE1001: no model %u", id);
	if (!is(h, K_DATASET) || index != m->im->h.inputs || index >= ((struct dataset *)h)->n) return fail(100000, "EE1001: the dataset has no buffer for " MBATCH);
	if (!a) return fail(100000, "EE1001: size 0");
	for (uint32_t i = 0; i < m->im->h.gears; i++)
		if (m->im->h.gear[i][0] == a && (!hw || m->im->h.gear[i][1] == b)) {
			((struct dataset *)h)->batch = m->batch = hw ? 1 : a;
			return 0;
		}
	return fail(145013, "EE1001: %lu is not one of the model's gears", (long)a);
}
EXPORT int32_t aclmdlSetDynamicBatchSize(uint32_t id, uintptr_t h, uintptr_t i, uint64_t n) { ENTER(aclmdlSetDynamicBatchSize); return gear(id, h, i, n, 0, 0); }
EXPORT int32_t aclmdlSetDynamicHWSize(uint32_t id, uintptr_t h, uintptr_t i, uint64_t a, uint64_t b) { ENTER(aclmdlSetDynamicHWSize); return gear(id, h, i, a, b, 1); }
EXPORT int32_t aclmdlSetInputDynamicDims(uint32_t id, uintptr_t h, uintptr_t i, void *d) { ENTER(aclmdlSetInputDynamicDims); return gear(id, h, i, (uint64_t)((aclmdlIODims *)d)->dims[0], 0, 0); }

// The set is copied, as a runtime copies it into the dataset's memory.
static int32_t set_aipp(const char *name, uint32_t id, uintptr_t h, uintptr_t index, uintptr_t set) {
	struct model *m = find(id);
	if (!m) return fail(145003, "%s: EE1001: no model %u", name, id);
	if (!is(h, K_DATASET) || !is(set, K_AIPP)) return fail(100000, "%s: EE1001: not a dataset or set", name);
	if (dynamic(m->im) < 0 || index != all_inputs(m->im) - 1) return fail(145015, "%s: EE1001: input %lu takes no preprocessing", name, (long)index);
	struct dataset *d = (struct dataset *)h;
	struct aipp *a = (struct aipp *)set;
	if (d->n <= index) return fail(100000, "%s: EE1001: the dataset has no buffer for " AIPPDATA, name);
	if (!aipp_source(a) || aipp_source(a) > (size_t)m->im->t[dynamic(m->im)].source) return fail(145016, "%s: EE1001: the picture is larger than the model allows, or has no format or size", name);
	if (!d->aipp) d->aipp = malloc(sizeof *a);
	*d->aipp = *a;
	return 0;
}
EXPORT int32_t aclmdlSetInputAIPP(uint32_t id, uintptr_t h, uintptr_t i, uintptr_t a) { ENTER(aclmdlSetInputAIPP); return set_aipp("aclmdlSetInputAIPP", id, h, i, a); }
EXPORT int32_t aclmdlSetAIPPByInputIndex(uint32_t id, uintptr_t h, uintptr_t i, uintptr_t a) {
	ENTER(aclmdlSetAIPPByInputIndex);
	struct model *m = find(id);
	if (m && (dynamic(m->im) < 0 || i != (uintptr_t)dynamic(m->im))) return fail(145015, "aclmdlSetAIPPByInputIndex: EE1001: input %lu takes no preprocessing", (long)i);
	return set_aipp("aclmdlSetAIPPByInputIndex", id, h, m ? all_inputs(m->im) - 1 : 0, a);
}

// Execution.
void free_run(struct run *r) { free(r->aipp), free(r); }
static int32_t prepare(uint32_t id, uintptr_t in, uintptr_t out, struct model **mp, struct run **rp) {
	struct model *m = find(id);
	if (!m) return fail(145003, "aclmdlExecute: EE1001: no model %u", id);
	if (m->ctx != current) return fail(107004, "aclmdlExecute: EE1001: the model was loaded in another context");
	if (!is(in, K_DATASET) || !is(out, K_DATASET)) return fail(100000, "aclmdlExecute: EE1001: not a dataset");
	if (gone()) return fail(507899, "aclmdlExecute: EE9999: device lost");
	struct dataset *i = (struct dataset *)in, *o = (struct dataset *)out;
	struct image *im = m->im;
	if (i->n != all_inputs(im)) return fail(100017, "aclmdlExecute: EE1001: %zu inputs given, %zu wanted", i->n, all_inputs(im));
	for (size_t k = im->h.inputs; k < i->n; k++) {
		uint8_t *real;
		if (i->b[k]->n < extra_bytes(im, k) || locate(i->b[k]->p, extra_bytes(im, k), &real) != DEVICE) return fail(145011, "aclmdlExecute: EE1001: the buffer for %s is too small", extra(im, k));
	}
	if (dynamic(im) >= 0 && !i->aipp) return fail(145015, "aclmdlExecute: EE1001: the preprocessing is not set");
	if (o->n != im->h.outputs) return fail(100018, "aclmdlExecute: EE1001: %zu outputs given, %u wanted", o->n, im->h.outputs);
	struct run *r = calloc(1, sizeof *r);
	r->batch = im->h.gears ? i->batch : m->batch;
	if (dynamic(im) >= 0) {
		struct tensor *t = &im->t[dynamic(im)];
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
		size_t need = bytes_of(im, &im->t[k], r->batch);
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
	size_t n = items(t);
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
	int64_t us = atomic_load(&shared->execute_us) + atomic_load(&shared->item_us) * (int64_t)r->batch;
	if (atomic_load(&shared->jitter_us)) us += rand() % atomic_load(&shared->jitter_us);
	for (; us > 0 && atomic_load(&abandon) == was; us -= 20000) pause_us(us < 20000 ? us : 20000);
	struct image *im = m->im;
	size_t n = 0, largest;
	for (uint32_t k = 0; k < im->h.inputs; k++) n += items(&im->t[k]); // the network sees its inputs one behind the other
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
		size_t want = items(&im->t[im->h.inputs]);
		memcpy((float *)r->b[im->h.inputs].p + b * want, x, (want < len ? want : len) * sizeof *x);
		if (im->h.outputs > 1) { size_t k = items(&im->t[im->h.inputs + 1]); memcpy((float *)r->b[im->h.inputs + 1].p + b * k, second, k * sizeof *second); }
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

// Loading with a configuration.
EXPORT uintptr_t aclmdlCreateConfigHandle(void) { ENTER_PTR(aclmdlCreateConfigHandle); return (uintptr_t)make(K_CONFIG, sizeof(struct config)); }
#define LOADCONFIG(name) if (!is(h, K_CONFIG)) return fail(100000, #name ": EE1001: not a configuration"); struct config *c = (struct config *)h
EXPORT int32_t aclmdlDestroyConfigHandle(uintptr_t h) { ENTER(aclmdlDestroyConfigHandle); LOADCONFIG(aclmdlDestroyConfigHandle); free((void *)c->path); drop(c, K_CONFIG); return 0; }
EXPORT int32_t aclmdlSetConfigOpt(uintptr_t h, int32_t attr, void *value, size_t n) {
	ENTER(aclmdlSetConfigOpt);
	LOADCONFIG(aclmdlSetConfigOpt);
	if (n != (attr == ACL_MDL_PRIORITY_INT32 ? 4u : 8u)) return fail(100000, "aclmdlSetConfigOpt: EE1001: attribute %d of %zu bytes", attr, n);
	switch (attr) {
	case ACL_MDL_PRIORITY_INT32:
		if (*(int32_t *)value < 0 || *(int32_t *)value > 7) return fail(100000, "aclmdlSetConfigOpt: EE1001: priority %d", *(int32_t *)value);
		c->priority = *(int32_t *)value;
		return 0;
	case ACL_MDL_LOAD_TYPE_SIZET: c->type = *(size_t *)value; return 0;
	case ACL_MDL_PATH_PTR: free((void *)c->path), c->path = strdup(*(const char **)value); return 0; // copied, as the runtime does
	case ACL_MDL_MEM_ADDR_PTR: c->model = *(void **)value; return 0;
	case ACL_MDL_MEM_SIZET: c->size = *(size_t *)value; return 0;
	case ACL_MDL_WEIGHT_ADDR_PTR: c->weight = *(void **)value; return 0;
	case ACL_MDL_WEIGHT_SIZET: c->weight_size = *(size_t *)value; return 0;
	case ACL_MDL_WORKSPACE_ADDR_PTR: c->work = *(void **)value; return 0;
	case ACL_MDL_WORKSPACE_SIZET: c->work_size = *(size_t *)value; return 0;
	}
	return fail(100000, "aclmdlSetConfigOpt: EE1001: attribute %d", attr);
}
EXPORT int32_t aclmdlLoadWithConfig(uintptr_t h, uint32_t *id) {
	ENTER(aclmdlLoadWithConfig);
	LOADCONFIG(aclmdlLoadWithConfig);
	uint8_t *p = c->model;
	size_t n = c->size;
	int32_t e = 0;
	int file = c->type == 1 || c->type == 2;
	if (c->type < 1 || c->type > 4 || (file ? !c->path : !p || !n)) return fail(100000, "aclmdlLoadWithConfig: EE1001: load type %zu without what it needs", c->type);
	if (file && (e = slurp(c->path, &p, &n))) return e;
	if (c->type % 2 == 0) e = own_memory(p, n, c->work, c->work_size, c->weight, c->weight_size);
	if (!e) e = load(p, n, id);
	if (file) free(p);
	return e;
}
