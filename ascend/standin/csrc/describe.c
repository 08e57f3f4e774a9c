// Descriptions of models: tensors, their names, dimensions and gears.
#include "model.h"

EXPORT uintptr_t aclmdlCreateDesc(void) { ENTER_PTR(aclmdlCreateDesc); return (uintptr_t)make(K_DESC, sizeof(struct desc)); }
#define DESC(name, bad) if (!is(h, K_DESC) || !((struct desc *)h)->im) return bad; struct image *im = ((struct desc *)h)->im
static int32_t fill(struct desc *d, const uint8_t *p, size_t n) {
	image_free(d->im);
	d->im = 0;
	return image_parse(p, n, &d->im);
}
EXPORT int32_t aclmdlDestroyDesc(uintptr_t h) {
	ENTER(aclmdlDestroyDesc);
	if (!is(h, K_DESC)) return fail(100000, "aclmdlDestroyDesc: EE1001: not a description");
	image_free(((struct desc *)h)->im);
	drop((void *)h, K_DESC);
	return 0;
}
EXPORT int32_t aclmdlGetDesc(uintptr_t h, uint32_t id) {
	ENTER(aclmdlGetDesc);
	struct model *m = find_model(id);
	if (!is(h, K_DESC) || !m) return fail(m ? 100000 : 145003, "aclmdlGetDesc: EE1001: no model %u", id);
	((struct desc *)h)->m = m;
	return fill((struct desc *)h, m->im->bytes, m->im->h.size);
}
EXPORT int32_t aclmdlGetDescFromMem(uintptr_t h, void *p, size_t n) { ENTER(aclmdlGetDescFromMem); return is(h, K_DESC) ? fill((struct desc *)h, p, n) : fail(100000, "aclmdlGetDescFromMem: EE1001"); }
EXPORT int32_t aclmdlGetDescFromFile(uintptr_t h, const char *path) {
	ENTER(aclmdlGetDescFromFile);
	uint8_t *p;
	size_t n;
	int32_t e = is(h, K_DESC) ? image_read(path, &p, &n) : fail(100000, "aclmdlGetDescFromFile: EE1001");
	if (e) return e;
	e = fill((struct desc *)h, p, n);
	free(p);
	return e;
}
EXPORT uintptr_t aclmdlGetNumInputs(uintptr_t h) { ENTER_PTR(aclmdlGetNumInputs); DESC(x, 0); return image_inputs(im); }
EXPORT uintptr_t aclmdlGetNumOutputs(uintptr_t h) { ENTER_PTR(aclmdlGetNumOutputs); DESC(x, 0); return im->h.outputs; }
EXPORT uintptr_t aclmdlGetInputSizeByIndex(uintptr_t h, uintptr_t i) {
	ENTER_PTR(aclmdlGetInputSizeByIndex);
	DESC(x, 0);
	if (image_extra(im, i)) return image_extra_bytes(im, i);
	return i < im->h.inputs ? tensor_bytes(im, &im->t[i], image_batch(im)) : 0;
}
EXPORT uintptr_t aclmdlGetOutputSizeByIndex(uintptr_t h, uintptr_t i) { ENTER_PTR(aclmdlGetOutputSizeByIndex); DESC(x, 0); return i < im->h.outputs ? tensor_bytes(im, &im->t[im->h.inputs + i], image_batch(im)) : 0; }
static struct tensor *tensor(struct image *im, uintptr_t i, int output) {
	if (output) return i < im->h.outputs ? &im->t[im->h.inputs + i] : 0;
	return i < im->h.inputs ? &im->t[i] : 0;
}
int32_t tensor_dims(struct tensor *t, aclmdlIODims *d, uint64_t batch) {
	if (!t) return fail(145021, "EE1001: no such tensor");
	memset(d, 0, sizeof *d);
	memcpy(d->name, t->name, sizeof t->name);
	d->dimCount = t->ndims;
	for (uint32_t i = 0; i < t->ndims; i++) d->dims[i] = t->dims[i];
	if (batch && d->dims[0] < 0) d->dims[0] = (int64_t)batch;
	return 0;
}
EXPORT int32_t aclmdlGetInputDims(uintptr_t h, uintptr_t i, void *d) { ENTER(aclmdlGetInputDims); DESC(x, 100000); return tensor_dims(tensor(im, i, 0), d, 0); }
EXPORT int32_t aclmdlGetInputDimsV2(uintptr_t h, uintptr_t i, void *d) {
	ENTER(aclmdlGetInputDimsV2);
	DESC(x, 100000);
	if (image_extra(im, i)) {
		struct tensor g = {.ndims = 1, .dims = {(int64_t)image_extra_bytes(im, i) / 4}};
		strcpy(g.name, image_extra(im, i));
		return tensor_dims(&g, d, 0);
	}
	struct tensor *t = tensor(im, i, 0);
	int32_t e = tensor_dims(t, d, 0);
	if (!e && t->aipp == AIPP_STATIC_YUV) ((aclmdlIODims *)d)->dims[1] = t->dims[1] * 3 / 2, ((aclmdlIODims *)d)->dims[3] = 1;
	return e;
}
EXPORT int32_t aclmdlGetOutputDims(uintptr_t h, uintptr_t i, void *d) { ENTER(aclmdlGetOutputDims); DESC(x, 100000); return tensor_dims(tensor(im, i, 1), d, image_batch(im)); }
EXPORT int32_t aclmdlGetCurOutputDims(uintptr_t h, uintptr_t i, void *d) {
	ENTER(aclmdlGetCurOutputDims);
	DESC(x, 100000);
	struct model *m = ((struct desc *)h)->m;
	return tensor_dims(tensor(im, i, 1), d, m && m->batch ? m->batch : image_batch(im));
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
	if (image_extra(im, i)) return image_extra(im, i);
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
	for (*i = im->h.inputs; !output && *i < image_inputs(im); ++*i)
		if (strcmp(name, image_extra(im, *i)) == 0) return 0;
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
	for (uint32_t k = 0; k < im->h.gears; k++) tensor_dims(&im->t[0], (aclmdlIODims *)p + k, im->h.gear[k][0]);
	return 0;
}
EXPORT int32_t aclmdlGetAippType(uint32_t id, uintptr_t i, int32_t *type, uintptr_t *attached) {
	ENTER(aclmdlGetAippType);
	struct model *m = find_model(id);
	if (!m || i >= image_inputs(m->im)) return fail(145003, "aclmdlGetAippType: EE1001: no model %u or input", id);
	*attached = UINTPTR_MAX;
	if (image_extra(m->im, i)) { *type = strcmp(image_extra(m->im, i), AIPPDATA) == 0 ? ACL_DYNAMIC_AIPP_NODE : ACL_DATA_WITHOUT_AIPP; return 0; }
	int32_t kind = m->im->t[i].aipp;
	*type = kind == AIPP_DYNAMIC ? ACL_DATA_WITH_DYNAMIC_AIPP : kind ? ACL_DATA_WITH_STATIC_AIPP : ACL_DATA_WITHOUT_AIPP;
	if (kind == AIPP_DYNAMIC) *attached = image_inputs(m->im) - 1;
	return 0;
}
