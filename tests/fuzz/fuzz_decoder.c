/*
 * A libFuzzer harness for the codec in C. run.py builds and runs it.
 *
 * Python is embedded and _speedups.c compiled in, under the name it has in the package. What an
 * input means, and what must come of it, is said in replay.py. Here is what Python cannot do: lend
 * out buffers with nothing behind them, and see whether memory or references got lost.
 *
 * Environment: SYNCWS_FUZZ_PATH, what to put before sys.path, separated as PATH is;
 * SYNCWS_FUZZ_PYTHON, the interpreter whose standard library is used.
 */

#define PY_SSIZE_T_CLEAN
#include <Python.h>
#include <sanitizer/allocator_interface.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

/* Runs of one input that must all leave something behind to make a leak: Python has caches, and it
   keeps dead objects for reuse. */
#define LEAK_ATTEMPTS 8

/* Inputs between two collections of garbage. */
#define COLLECT_EVERY 100

PyMODINIT_FUNC PyInit__speedups(void);

static PyObject *check, *exercise, *codec, *lend, *release, *watched;

static void
require(int condition)
{
    if (!condition) {
        if (PyErr_Occurred()) {
            PyErr_Print();
        }
        abort();
    }
}

/* lend(function, data): call the function with a view of a copy that ends where the data ends, and
   that is gone afterwards. */
static PyObject *
lend_copy(PyObject *module, PyObject *const *args, Py_ssize_t count)
{
    char *data, *copy;
    Py_ssize_t size;
    PyObject *view, *result, *released;

    (void)module;
    require(count == 2 && PyBytes_AsStringAndSize(args[1], &data, &size) == 0);
    copy = malloc(size);
    require(copy != NULL);
    memcpy(copy, data, size);
    view = PyMemoryView_FromMemory(copy, size, PyBUF_READ);
    require(view != NULL);
    result = PyObject_CallOneArg(args[0], view);
    if (result != NULL) {
        released = PyObject_CallMethodNoArgs(view, release);
        require(released != NULL); /* it is not, while somebody uses the buffer */
        Py_DECREF(released);
    }
    require(memcmp(copy, data, size) == 0);
    Py_DECREF(view);
    free(copy);
    return result;
}

static PyMethodDef lend_method = {
    "lend", (PyCFunction)(void (*)(void))lend_copy, METH_FASTCALL, NULL,
};

/* The finder of built-in modules does not look for names with dots. */
static const char FIND_BUILT_IN[] =
    "import importlib.machinery, sys\n"
    "class Finder:\n"
    "    def find_spec(name, path=None, target=None):\n"
    "        if name == 'syncws.sansio._speedups':\n"
    "            loader = importlib.machinery.BuiltinImporter\n"
    "            return importlib.machinery.ModuleSpec(name, loader, origin='built-in')\n"
    "sys.meta_path.insert(0, Finder)\n";

/* Garbage of the Python codec that goes while we look for leaks would hide them. */
static const char COLLECT_WHEN_TOLD[] = "import gc; gc.collect(); gc.freeze(); gc.set_threshold(0)";

static void
start_python(void)
{
    PyPreConfig preconfig;
    PyConfig config;
    const char *python = getenv("SYNCWS_FUZZ_PYTHON");

    PyPreConfig_InitPythonConfig(&preconfig);
    preconfig.allocator = PYMEM_ALLOCATOR_MALLOC; /* for the sanitizer to see every object */
    preconfig.utf8_mode = 1;
    require(!PyStatus_Exception(Py_PreInitialize(&preconfig)));
    require(PyImport_AppendInittab("syncws.sansio._speedups", PyInit__speedups) == 0);
    PyConfig_InitPythonConfig(&config);
    config.install_signal_handlers = 0;
    config.write_bytecode = 0;
    if (python != NULL) {
        require(!PyStatus_Exception(PyConfig_SetBytesString(&config, &config.program_name, python)));
    }
    require(!PyStatus_Exception(Py_InitializeFromConfig(&config)));
    PyConfig_Clear(&config);
}

static void
extend_path(void)
{
    const char *folders = getenv("SYNCWS_FUZZ_PATH");
    PyObject *path = PySys_GetObject("path"), *more, *parts;

    if (folders == NULL) {
        return;
    }
    more = PyUnicode_DecodeFSDefault(folders);
    parts = PyObject_CallMethod(more, "split", "s", ":");
    require(parts != NULL && PyList_SetSlice(path, 0, 0, parts) == 0);
    Py_DECREF(more);
    Py_DECREF(parts);
}

int
LLVMFuzzerInitialize(int *argc, char ***argv)
{
    PyObject *replay;

    (void)argc;
    (void)argv;
    start_python();
    extend_path();
    require(PyRun_SimpleString(FIND_BUILT_IN) == 0);
    require((replay = PyImport_ImportModule("replay")) != NULL);
    require((codec = PyImport_ImportModule("syncws.sansio._speedups")) != NULL);
    require((check = PyObject_GetAttrString(replay, "check")) != NULL);
    require((exercise = PyObject_GetAttrString(replay, "exercise")) != NULL);
    require((watched = PyObject_CallMethod(replay, "watched", "O", codec)) != NULL);
    require(PyRun_SimpleString(COLLECT_WHEN_TOLD) == 0);
    require((release = PyUnicode_InternFromString("release")) != NULL);
    require((lend = PyCFunction_New(&lend_method, NULL)) != NULL);
    return 0;
}

static Py_ssize_t
references(void)
{
    Py_ssize_t i, sum = 0;

    for (i = 0; i < PyTuple_GET_SIZE(watched); i++) {
        sum += Py_REFCNT(PyTuple_GET_ITEM(watched, i));
    }
    return sum;
}

static void
call(PyObject *function, PyObject *input)
{
    PyObject *result = PyObject_CallFunctionObjArgs(function, input, codec, lend, NULL);

    require(result != NULL);
    Py_DECREF(result);
}

static void
look_for_leaks(PyObject *input)
{
    Py_ssize_t more_bytes = 0, more_references = 0;
    int attempt;

    for (attempt = 0; attempt < LEAK_ATTEMPTS; attempt++) {
        size_t bytes;
        Py_ssize_t count;
        if (attempt == LEAK_ATTEMPTS / 2) {
            PyGC_Collect(); /* empties all of these, but takes its time */
        }
        bytes = __sanitizer_get_current_allocated_bytes();
        count = references();
        call(exercise, input);
        if (attempt >= LEAK_ATTEMPTS / 2) {
            PyGC_Collect();
        }
        more_bytes = __sanitizer_get_current_allocated_bytes() - bytes;
        more_references = references() - count;
        if (more_bytes <= 0 && more_references <= 0) {
            return;
        }
    }
    fprintf(stderr, "each run of this input leaves %zd bytes and %zd references behind\n",
            more_bytes, more_references);
    abort();
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static unsigned long inputs;
    PyObject *input = PyBytes_FromStringAndSize((const char *)data, size);

    if (inputs++ % COLLECT_EVERY == 0) {
        PyGC_Collect();
    }
    require(input != NULL);
    call(check, input);
    look_for_leaks(input);
    Py_DECREF(input);
    return 0;
}
