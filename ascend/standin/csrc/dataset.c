// Data buffers and datasets, and what is set in them before an execution.
#include "model.h"

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
EXPORT uintptr_t aclDataTypeSize(int32_t t) { ENTER_PTR(aclDataTypeSize); return type_bytes(t); }
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
	struct model *m = find_model(id);
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
	struct model *m = find_model(id);
	if (!m) return fail(145003, "%s: EE1001: no model %u", name, id);
	if (!is(h, K_DATASET) || !is(set, K_AIPP)) return fail(100000, "%s: EE1001: not a dataset or set", name);
	if (image_dynamic(m->im) < 0 || index != image_inputs(m->im) - 1) return fail(145015, "%s: EE1001: input %lu takes no preprocessing", name, (long)index);
	struct dataset *d = (struct dataset *)h;
	struct aipp *a = (struct aipp *)set;
	if (d->n <= index) return fail(100000, "%s: EE1001: the dataset has no buffer for " AIPPDATA, name);
	if (!aipp_source(a) || aipp_source(a) > (size_t)m->im->t[image_dynamic(m->im)].source) return fail(145016, "%s: EE1001: the picture is larger than the model allows, or has no format or size", name);
	if (!d->aipp) d->aipp = malloc(sizeof *a);
	*d->aipp = *a;
	return 0;
}
EXPORT int32_t aclmdlSetInputAIPP(uint32_t id, uintptr_t h, uintptr_t i, uintptr_t a) { ENTER(aclmdlSetInputAIPP); return set_aipp("aclmdlSetInputAIPP", id, h, i, a); }
EXPORT int32_t aclmdlSetAIPPByInputIndex(uint32_t id, uintptr_t h, uintptr_t i, uintptr_t a) {
	ENTER(aclmdlSetAIPPByInputIndex);
	struct model *m = find_model(id);
	if (m && (image_dynamic(m->im) < 0 || i != (uintptr_t)image_dynamic(m->im))) return fail(145015, "aclmdlSetAIPPByInputIndex: EE1001: input %lu takes no preprocessing", (long)i);
	return set_aipp("aclmdlSetAIPPByInputIndex", id, h, m ? image_inputs(m->im) - 1 : 0, a);
}
