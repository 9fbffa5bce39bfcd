/*
 * The frame codec in C: the same interface and behaviour as _pycodec.py, which is its specification.
 *
 * Only bytes are handled here. Every rule is stated in Python: what breaks one is put into words by
 * frames.check_header() and the exceptions of the library, so that both codecs say the same. Nothing
 * is allocated by a declared length before that many bytes have arrived.
 */

#define PY_SSIZE_T_CLEAN
#include <Python.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#if PY_VERSION_HEX < 0x030C0000
#include <structmember.h>
#define Py_T_PYSSIZET T_PYSSIZET
#define Py_READONLY READONLY
#endif

#ifndef Py_BEGIN_CRITICAL_SECTION
#define Py_BEGIN_CRITICAL_SECTION(op) {
#define Py_END_CRITICAL_SECTION() }
#endif

#define OPCODE 0x0F
#define FIN 0x80
#define RSV1 0x40
#define MASKED 0x80
#define CONT 0x0
#define TEXT 0x1
#define BINARY 0x2
#define FINAL_TEXT 0x81
#define FINAL_BINARY 0x82
#define IS_CONTROL 0x08

#define KEY_SIZE 4
#define MAX_HEADER 14
#define MAX_CONTROL 125
/* The beginning of a header, or of a control frame: never more than a whole control frame. */
#define MAX_KEPT (2 + KEY_SIZE + MAX_CONTROL)

typedef struct {
    PyObject *frame;           /* frames.Frame */
    PyObject *check_header;    /* frames.check_header */
    PyObject *check_length;    /* frames.check_length */
    PyObject *invalid_text;    /* frames.invalid_text */
    PyObject *protocol_error;  /* exceptions.ProtocolError */
    PyObject *message_too_big; /* exceptions.MessageTooBig */
    PyObject *decoder_type;
} State;

typedef struct {
    PyObject_HEAD
    char expect_mask;
    char rsv1; /* an extension uses that bit */
    char limited;
    char dead;
    char busy;
    /* The data frame whose payload is still arriving: */
    char fin;
    char compressed; /* it has RSV1, and nothing of it was passed on yet */
    unsigned char opcode;
    unsigned char key[KEY_SIZE]; /* rotated to where the next byte of payload is */
    uint64_t left;               /* bytes of it yet to come */
    int64_t max_size;
    Py_ssize_t messages; /* finished ones in the last batch */
    Py_ssize_t kept;
    unsigned char head[MAX_KEPT];
} Decoder;

/* ---------------------------------------------------------------- masking */

/* RFC 6455 section 5.3: "octet i of the transformed data is the XOR of octet i of the original data
   with octet at index i modulo 4 of the masking key". */
static void
mask_into(unsigned char *out, const unsigned char *in, size_t size, const unsigned char *key)
{
    uint64_t wide, word;
    size_t i = 0;

    memcpy(&wide, key, KEY_SIZE);
    memcpy((unsigned char *)&wide + KEY_SIZE, key, KEY_SIZE);
    for (; i + 32 <= size; i += 32) { /* for the compiler to make SIMD of */
        uint64_t words[4];
        memcpy(words, in + i, 32);
        words[0] ^= wide;
        words[1] ^= wide;
        words[2] ^= wide;
        words[3] ^= wide;
        memcpy(out + i, words, 32);
    }
    for (; i + 8 <= size; i += 8) {
        memcpy(&word, in + i, 8);
        word ^= wide;
        memcpy(out + i, &word, 8);
    }
    for (; i < size; i++) {
        out[i] = in[i] ^ key[i % KEY_SIZE];
    }
}

/* ---------------------------------------------------------------- headers */

typedef struct {
    unsigned char first;
    uint64_t size;            /* of the payload */
    const unsigned char *key; /* NULL if not masked */
    Py_ssize_t length;        /* of the header */
} Header;

enum { WAIT, READY, BROKEN, ERROR };

/* Append a new reference to the list; a NULL passes the error on. */
static int
append(PyObject *items, PyObject *item)
{
    int result;

    if (item == NULL) {
        return ERROR;
    }
    result = PyList_Append(items, item);
    Py_DECREF(item);
    return result < 0 ? ERROR : READY;
}

static int
break_rule(PyObject *items, PyObject *error)
{
    return append(items, error) == ERROR ? ERROR : BROKEN;
}

/* Call a rule of frames.py, which returns what is wrong in words, or None. */
static int
judge(State *state, PyObject *items, PyObject *problem)
{
    int result = READY;

    if (problem == NULL) {
        return ERROR;
    }
    if (problem != Py_None) {
        result = break_rule(items, PyObject_CallFunctionObjArgs(state->protocol_error, problem, NULL));
    }
    Py_DECREF(problem);
    return result;
}

/* Read a header as far as it has come, and check it (RFC 6455 section 5.2). */
static int
read_header(Decoder *self, State *state, PyObject *items, const unsigned char *data,
            Py_ssize_t available, Header *header)
{
    unsigned char first, second, plain;
    int result, marker, i, compressed;

    if (available < 2) {
        return WAIT;
    }
    /* Read once: what is checked is what is used, even if the buffer changes meanwhile. */
    header->first = first = data[0];
    second = data[1];
    compressed = self->rsv1 && (first & RSV1) && ((first & OPCODE) == TEXT || (first & OPCODE) == BINARY);
    plain = compressed ? first & ~RSV1 : first;
    if ((plain != FINAL_TEXT && plain != FINAL_BINARY)
        || ((second & MASKED) != 0) != self->expect_mask) {
        result = judge(state, items, PyObject_CallFunction(state->check_header, "iiO", plain, second,
                                                    self->expect_mask ? Py_True : Py_False));
        if (result != READY) {
            return result;
        }
    }
    header->length = 2;
    marker = second & 0x7F;
    header->size = marker;
    if (marker >= 126) {
        header->length = marker == 126 ? 4 : 10;
        if (available < header->length) {
            return WAIT;
        }
        header->size = 0;
        for (i = 2; i < header->length; i++) {
            header->size = header->size << 8 | data[i];
        }
        if (header->size <= (marker == 126 ? 125u : 0xFFFFu) || header->size >> 63) {
            result = judge(state, items, PyObject_CallFunction(state->check_length, "iK", marker,
                                                        (unsigned long long)header->size));
            if (result != READY) {
                return result;
            }
        }
    }
    /* What is compressed is measured when it no longer is. */
    if (self->limited && (int64_t)header->size > self->max_size && !(first & IS_CONTROL) && !compressed
        && !(self->rsv1 && (first & OPCODE) == CONT)) {
        return break_rule(items, PyObject_CallFunction(state->message_too_big, "KL",
                                                (unsigned long long)header->size,
                                                (long long)self->max_size));
    }
    header->key = NULL;
    if (self->expect_mask) {
        if (available < header->length + KEY_SIZE) {
            return WAIT;
        }
        header->key = data + header->length;
        header->length += KEY_SIZE;
    }
    return READY;
}

/* ---------------------------------------------------------------- payloads */

static PyObject *
payload_bytes(const unsigned char *data, Py_ssize_t size, const unsigned char *key)
{
    PyObject *payload;

    if (key == NULL) {
        return PyBytes_FromStringAndSize((const char *)data, size);
    }
    payload = PyBytes_FromStringAndSize(NULL, size);
    if (payload != NULL) {
        mask_into((unsigned char *)PyBytes_AS_STRING(payload), data, size, key);
    }
    return payload;
}

/* Return the text, or NULL with an exception set. RFC 6455 section 8.1: strictly UTF-8. */
static PyObject *
payload_text(const unsigned char *data, Py_ssize_t size, const unsigned char *key)
{
    unsigned char small[1024];
    unsigned char *plain = small;
    PyObject *text;

    if (key == NULL) {
        return PyUnicode_DecodeUTF8((const char *)data, size, NULL);
    }
    if (size > (Py_ssize_t)sizeof(small)) {
        plain = PyMem_Malloc(size);
        if (plain == NULL) {
            return PyErr_NoMemory();
        }
    }
    mask_into(plain, data, size, key);
    text = PyUnicode_DecodeUTF8((const char *)plain, size, NULL);
    if (plain != small) {
        PyMem_Free(plain);
    }
    return text;
}

/* Turn the UnicodeDecodeError that is set into the words of the library. */
static int
text_is_broken(State *state, PyObject *items)
{
    PyObject *type, *error, *traceback;
    int result;

    if (!PyErr_ExceptionMatches(PyExc_UnicodeDecodeError)) {
        return ERROR;
    }
    PyErr_Fetch(&type, &error, &traceback);
    PyErr_NormalizeException(&type, &error, &traceback);
    result = break_rule(items, PyObject_CallFunctionObjArgs(state->invalid_text, error, NULL));
    Py_XDECREF(type);
    Py_XDECREF(error);
    Py_XDECREF(traceback);
    return result;
}

static int
append_frame(State *state, PyObject *items, int opcode, PyObject *payload, int fin, int rsv1, int end)
{
    PyObject *parts, *frame = NULL;

    if (payload == NULL) {
        return ERROR;
    }
    /* tuple.__new__(Frame, parts), as Frame._make() does: its own __new__ is Python code. */
    parts = Py_BuildValue("((iNOOO))", opcode, payload, fin ? Py_True : Py_False,
                          rsv1 ? Py_True : Py_False, end ? Py_True : Py_False);
    if (parts != NULL) {
        frame = PyTuple_Type.tp_new((PyTypeObject *)state->frame, parts, NULL);
        Py_DECREF(parts);
    }
    return append(items, frame);
}

/* A frame that has arrived whole. */
static int
finish_frame(Decoder *self, State *state, PyObject *items, const Header *header,
             const unsigned char *payload)
{
    if (header->first == FINAL_BINARY) {
        self->messages++;
        return append(items, payload_bytes(payload, header->size, header->key));
    }
    if (header->first == FINAL_TEXT) {
        PyObject *text = payload_text(payload, header->size, header->key);
        if (text == NULL) {
            return text_is_broken(state, items);
        }
        self->messages++;
        return append(items, text);
    }
    return append_frame(state, items, header->first & OPCODE,
                        payload_bytes(payload, header->size, header->key),
                        header->first & FIN, header->first & RSV1, 1);
}

/* A data frame of which only the beginning has arrived: remember the rest. */
static void
begin_frame(Decoder *self, const Header *header)
{
    self->opcode = header->first & OPCODE;
    self->fin = (header->first & FIN) != 0;
    self->compressed = (header->first & RSV1) != 0;
    self->left = header->size;
    if (header->key != NULL) {
        memcpy(self->key, header->key, KEY_SIZE);
    }
}

/* Pass on what has arrived of the unfinished data frame; say in *taken how much that was. */
static int
continue_frame(Decoder *self, State *state, PyObject *items, const unsigned char *data,
               Py_ssize_t available, Py_ssize_t *taken)
{
    unsigned char key[KEY_SIZE];
    int end = self->left <= (uint64_t)available;
    int opcode = self->opcode, compressed = self->compressed, i;
    Py_ssize_t size = end ? (Py_ssize_t)self->left : available;

    memcpy(key, self->key, KEY_SIZE);
    for (i = 0; i < KEY_SIZE; i++) {
        self->key[i] = key[(i + size) % KEY_SIZE];
    }
    self->left -= size;
    self->opcode = CONT; /* pieces after the first look like continuations */
    self->compressed = 0;
    *taken = size;
    return append_frame(state, items, opcode,
                        payload_bytes(data, size, self->expect_mask ? key : NULL),
                        self->fin && end, compressed, end);
}

/* ---------------------------------------------------------------- FrameDecoder */

/* Decode frames until the data is used up. Returns READY, BROKEN or ERROR. */
static int
decode(Decoder *self, State *state, PyObject *items, const unsigned char *data, Py_ssize_t size)
{
    const unsigned char *end = data + size;
    Header header;
    Py_ssize_t taken;
    int result;

    if (self->left) {
        if (continue_frame(self, state, items, data, size, &taken) == ERROR) {
            return ERROR;
        }
        data += taken;
    }
    while (data < end) {
        const unsigned char *start = data;
        Py_ssize_t available = end - data;
        Py_ssize_t kept = self->kept;

        if (kept) { /* the frame begins in what was kept of earlier data */
            Py_ssize_t more = MAX_KEPT - kept < available ? MAX_KEPT - kept : available;
            memcpy(self->head + kept, data, more);
            start = self->head;
            available = kept + more;
        }
        result = read_header(self, state, items, start, available, &header);
        if (result == BROKEN || result == ERROR) {
            return result;
        }
        if (result == READY && !(header.first & IS_CONTROL)) {
            /* A data frame: its payload is read from the data itself. */
            const unsigned char *payload = data + (header.length - kept);
            Py_ssize_t there = end - payload;
            if (header.size <= (uint64_t)there) {
                self->kept = 0;
                result = finish_frame(self, state, items, &header, payload);
                if (result != READY) {
                    return result;
                }
                data = payload + header.size;
                continue;
            }
            if (there > 0) {
                self->kept = 0;
                begin_frame(self, &header);
                return continue_frame(self, state, items, payload, there, &taken);
            }
        }
        else if (result == READY && (uint64_t)(available - header.length) >= header.size) {
            self->kept = 0;
            result = finish_frame(self, state, items, &header, start + header.length);
            if (result != READY) {
                return result;
            }
            data += header.length + (Py_ssize_t)header.size - kept;
            continue;
        }
        /* More must come: keep the beginning. */
        if (!kept) {
            memcpy(self->head, data, available);
        }
        self->kept = available;
        return READY;
    }
    return READY;
}

static PyObject *
decoder_feed(PyObject *object, PyObject *data)
{
    Decoder *self = (Decoder *)object;
    State *state = PyType_GetModuleState(Py_TYPE(object));
    PyObject *items = PyList_New(0);
    Py_buffer view;
    int result;

    if (items == NULL) {
        return NULL;
    }
    if (PyObject_GetBuffer(data, &view, PyBUF_SIMPLE) < 0) {
        Py_DECREF(items);
        return NULL;
    }
    Py_BEGIN_CRITICAL_SECTION(object);
    if (self->busy) { /* decode() calls Python code, and that lets other threads run */
        PyErr_SetString(PyExc_RuntimeError, "feed() is called while another feed() still runs");
        result = ERROR;
    }
    else {
        self->busy = 1;
        self->messages = 0;
        result = READY;
        if (!self->dead) {
            result = decode(self, state, items, view.buf, view.len);
            if (result != READY) {
                self->dead = 1;
            }
        }
        self->busy = 0;
    }
    Py_END_CRITICAL_SECTION();
    PyBuffer_Release(&view);
    if (result == ERROR) {
        Py_DECREF(items);
        return NULL;
    }
    return items;
}

static PyObject *
decoder_new(PyTypeObject *type, PyObject *args, PyObject *kwargs)
{
    static char *names[] = {"expect_mask", "max_size", "rsv1", NULL};
    int expect_mask, rsv1 = 0, overflow = 0;
    PyObject *max_size;
    long long limit = 0;
    Decoder *self;

    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "pO|p:FrameDecoder", names, &expect_mask, &max_size,
                                     &rsv1)) {
        return NULL;
    }
    if (max_size != Py_None) {
        limit = PyLong_AsLongLongAndOverflow(max_size, &overflow);
        if (limit == -1 && PyErr_Occurred()) {
            return NULL;
        }
    }
    self = (Decoder *)type->tp_alloc(type, 0); /* zeroed */
    if (self != NULL) {
        self->expect_mask = (char)expect_mask;
        self->rsv1 = (char)rsv1;
        self->limited = max_size != Py_None && overflow <= 0; /* no length is over 2**63 - 1 */
        self->max_size = limit;
    }
    return (PyObject *)self;
}

static void
decoder_dealloc(PyObject *self)
{
    PyTypeObject *type = Py_TYPE(self);

    type->tp_free(self);
    Py_DECREF(type);
}

static PyMethodDef decoder_methods[] = {
    {"feed", decoder_feed, METH_O,
     PyDoc_STR("Take the next bytes of the stream; return what they complete, in order.")},
    {NULL, NULL, 0, NULL},
};

static PyMemberDef decoder_members[] = {
    {"messages", Py_T_PYSSIZET, offsetof(Decoder, messages), Py_READONLY,
     PyDoc_STR("how many items of the last batch are finished messages")},
    {NULL, 0, 0, 0, NULL},
};

static PyType_Slot decoder_slots[] = {
    {Py_tp_new, decoder_new},
    {Py_tp_dealloc, decoder_dealloc},
    {Py_tp_methods, decoder_methods},
    {Py_tp_members, decoder_members},
    {Py_tp_doc, PyDoc_STR("FrameDecoder(expect_mask, max_size, rsv1=False)\n--\n\n"
                          "Decodes the peer's byte stream, cut anywhere, into items.")},
    {0, NULL},
};

static PyType_Spec decoder_spec = {
    .name = "syncws.sansio._speedups.FrameDecoder",
    .basicsize = sizeof(Decoder),
    .flags = Py_TPFLAGS_DEFAULT,
    .slots = decoder_slots,
};

/* ---------------------------------------------------------------- encoding */

/* Write a header; return its length. */
static Py_ssize_t
write_header(unsigned char *out, int opcode, uint64_t size, const unsigned char *key, int fin, int rsv1)
{
    unsigned char mask_bit = key == NULL ? 0 : MASKED;
    Py_ssize_t length = 2;
    int bytes = size <= 125 ? 0 : size <= 0xFFFF ? 2 : 8;

    out[0] = (unsigned char)(opcode | (fin ? FIN : 0) | (rsv1 ? RSV1 : 0));
    out[1] = (unsigned char)(mask_bit | (bytes == 0 ? size : bytes == 2 ? 126 : 127));
    while (bytes-- > 0) {
        out[length++] = (unsigned char)(size >> (8 * bytes));
    }
    if (key != NULL) {
        memcpy(out + length, key, KEY_SIZE);
        length += KEY_SIZE;
    }
    return length;
}

/* Read (…, mask_key, fin=True, rsv1=False) from argument `at` on. */
static int
read_tail(PyObject *const *args, Py_ssize_t count, PyObject *names, int at, const char *function,
          const unsigned char **key, int *fin, int *rsv1)
{
    Py_ssize_t i, named = names == NULL ? 0 : PyTuple_GET_SIZE(names);

    if (count < at + 1 || count > at + 3) {
        PyErr_Format(PyExc_TypeError, "%s() takes %d to %d positional arguments (%zd given)", function,
                     at + 1, at + 3, count);
        return -1;
    }
    *key = NULL;
    if (args[at] != Py_None) {
        if (!PyBytes_Check(args[at]) || PyBytes_GET_SIZE(args[at]) != KEY_SIZE) {
            PyErr_SetString(PyExc_ValueError, "the masking key is 4 bytes, or None");
            return -1;
        }
        *key = (const unsigned char *)PyBytes_AS_STRING(args[at]);
    }
    *fin = 1;
    *rsv1 = 0;
    if (count > at + 1 && (*fin = PyObject_IsTrue(args[at + 1])) < 0) {
        return -1;
    }
    if (count > at + 2 && (*rsv1 = PyObject_IsTrue(args[at + 2])) < 0) {
        return -1;
    }
    for (i = 0; i < named; i++) {
        PyObject *name = PyTuple_GET_ITEM(names, i);
        int value = PyObject_IsTrue(args[count + i]);
        if (value < 0) {
            return -1;
        }
        if (PyUnicode_CompareWithASCIIString(name, "fin") == 0 && count < at + 2) {
            *fin = value;
        }
        else if (PyUnicode_CompareWithASCIIString(name, "rsv1") == 0 && count < at + 3) {
            *rsv1 = value;
        }
        else {
            PyErr_Format(PyExc_TypeError, "%s() got an unexpected argument %R", function, name);
            return -1;
        }
    }
    return 0;
}

/* Read the first argument into *opcode. */
static int
read_opcode(PyObject *number, int *opcode)
{
    long value = PyLong_AsLong(number);

    if (value == -1 && PyErr_Occurred()) {
        return -1;
    }
    if (value < 0 || value > 0xFF) {
        PyErr_SetString(PyExc_ValueError, "the opcode is not in range(256)");
        return -1;
    }
    *opcode = (int)value;
    return 0;
}

static PyObject *
encode_frame(PyObject *module, PyObject *const *args, Py_ssize_t count, PyObject *names)
{
    unsigned char header[MAX_HEADER];
    const unsigned char *key;
    Py_ssize_t length;
    Py_buffer payload;
    PyObject *frame;
    int fin, rsv1, opcode;

    (void)module;
    if (read_tail(args, count, names, 2, "encode_frame", &key, &fin, &rsv1) < 0) {
        return NULL;
    }
    if (read_opcode(args[0], &opcode) < 0) {
        return NULL;
    }
    if (PyObject_GetBuffer(args[1], &payload, PyBUF_SIMPLE) < 0) {
        return NULL;
    }
    if (payload.len > PY_SSIZE_T_MAX - MAX_HEADER) {
        PyBuffer_Release(&payload);
        return PyErr_NoMemory();
    }
    length = write_header(header, opcode, payload.len, key, fin, rsv1);
    frame = PyBytes_FromStringAndSize(NULL, length + payload.len);
    if (frame != NULL) {
        unsigned char *out = (unsigned char *)PyBytes_AS_STRING(frame);
        memcpy(out, header, length);
        if (key == NULL) {
            memcpy(out + length, payload.buf, payload.len);
        }
        else {
            mask_into(out + length, payload.buf, payload.len, key);
        }
    }
    PyBuffer_Release(&payload);
    return frame;
}

static PyObject *
encode_header(PyObject *module, PyObject *const *args, Py_ssize_t count, PyObject *names)
{
    unsigned char header[MAX_HEADER];
    const unsigned char *key;
    unsigned long long size;
    int fin, rsv1, opcode;

    (void)module;
    if (read_tail(args, count, names, 2, "encode_header", &key, &fin, &rsv1) < 0) {
        return NULL;
    }
    if (read_opcode(args[0], &opcode) < 0) {
        return NULL;
    }
    size = PyLong_AsUnsignedLongLong(args[1]);
    if (size == (unsigned long long)-1 && PyErr_Occurred()) {
        return NULL;
    }
    return PyBytes_FromStringAndSize((const char *)header,
                                     write_header(header, opcode, size, key, fin, rsv1));
}

static PyObject *
apply_mask(PyObject *module, PyObject *const *args, Py_ssize_t count)
{
    Py_buffer data;
    PyObject *result;

    (void)module;
    if (count != 2 || !PyBytes_Check(args[1]) || PyBytes_GET_SIZE(args[1]) != KEY_SIZE) {
        PyErr_SetString(PyExc_TypeError, "apply_mask() takes data and a key of 4 bytes");
        return NULL;
    }
    if (PyObject_GetBuffer(args[0], &data, PyBUF_SIMPLE) < 0) {
        return NULL;
    }
    result = payload_bytes(data.buf, data.len, (const unsigned char *)PyBytes_AS_STRING(args[1]));
    PyBuffer_Release(&data);
    return result;
}

/* ---------------------------------------------------------------- the module */

static int
import_into(PyObject **place, const char *module_name, const char *name)
{
    PyObject *module = PyImport_ImportModule(module_name);

    if (module == NULL) {
        return -1;
    }
    *place = PyObject_GetAttrString(module, name);
    Py_DECREF(module);
    return *place == NULL ? -1 : 0;
}

static int
module_exec(PyObject *module)
{
    State *state = PyModule_GetState(module);

    if (import_into(&state->frame, "syncws.sansio.frames", "Frame") < 0
        || import_into(&state->check_header, "syncws.sansio.frames", "check_header") < 0
        || import_into(&state->check_length, "syncws.sansio.frames", "check_length") < 0
        || import_into(&state->invalid_text, "syncws.sansio.frames", "invalid_text") < 0
        || import_into(&state->protocol_error, "syncws.exceptions", "ProtocolError") < 0
        || import_into(&state->message_too_big, "syncws.exceptions", "MessageTooBig") < 0) {
        return -1;
    }
    state->decoder_type = PyType_FromModuleAndSpec(module, &decoder_spec, NULL);
    if (state->decoder_type == NULL) {
        return -1;
    }
    return PyModule_AddType(module, (PyTypeObject *)state->decoder_type);
}

static int
module_traverse(PyObject *module, visitproc visit, void *arg)
{
    State *state = PyModule_GetState(module);

    Py_VISIT(state->frame);
    Py_VISIT(state->check_header);
    Py_VISIT(state->check_length);
    Py_VISIT(state->invalid_text);
    Py_VISIT(state->protocol_error);
    Py_VISIT(state->message_too_big);
    Py_VISIT(state->decoder_type);
    return 0;
}

static int
module_clear(PyObject *module)
{
    State *state = PyModule_GetState(module);

    Py_CLEAR(state->frame);
    Py_CLEAR(state->check_header);
    Py_CLEAR(state->check_length);
    Py_CLEAR(state->invalid_text);
    Py_CLEAR(state->protocol_error);
    Py_CLEAR(state->message_too_big);
    Py_CLEAR(state->decoder_type);
    return 0;
}

static void
module_free(void *module)
{
    (void)module_clear((PyObject *)module);
}

static PyMethodDef module_methods[] = {
    {"encode_frame", (PyCFunction)(void (*)(void))encode_frame, METH_FASTCALL | METH_KEYWORDS,
     PyDoc_STR("Return one frame as one piece of bytes.")},
    {"encode_header", (PyCFunction)(void (*)(void))encode_header, METH_FASTCALL | METH_KEYWORDS,
     PyDoc_STR("Return the header of a frame; with a mask key it ends with that key.")},
    {"apply_mask", (PyCFunction)(void (*)(void))apply_mask, METH_FASTCALL,
     PyDoc_STR("Mask or unmask data with a key of 4 bytes.")},
    {NULL, NULL, 0, NULL},
};

static PyModuleDef_Slot module_slots[] = {
    {Py_mod_exec, module_exec},
#if PY_VERSION_HEX >= 0x030C0000
    {Py_mod_multiple_interpreters, Py_MOD_PER_INTERPRETER_GIL_SUPPORTED},
#endif
#if PY_VERSION_HEX >= 0x030D0000
    {Py_mod_gil, Py_MOD_GIL_NOT_USED},
#endif
    {0, NULL},
};

static struct PyModuleDef module_def = {
    PyModuleDef_HEAD_INIT,
    .m_name = "_speedups",
    .m_doc = PyDoc_STR("The frame codec in C."),
    .m_size = sizeof(State),
    .m_methods = module_methods,
    .m_slots = module_slots,
    .m_traverse = module_traverse,
    .m_clear = module_clear,
    .m_free = module_free,
};

PyMODINIT_FUNC
PyInit__speedups(void)
{
    return PyModuleDef_Init(&module_def);
}
