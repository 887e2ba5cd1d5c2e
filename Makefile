# make demo | test | test-full | bench | lint | native-test | clean. Everything happens in .venv.
PYTHON ?= $(shell command -v python3.11 || command -v python3.12 || echo python3)
VENV := .venv
PY := $(VENV)/bin/python
NATIVE := $(wildcard tvm_aie/*/*.cc tvm_aie/*/*.h tvm_aie/include/tvm_aie/*.h) CMakeLists.txt
JOBS ?= 2

.PHONY: demo test test-full bench lint native-test clean dev-lib

$(VENV)/.created: pyproject.toml
	$(PYTHON) -c 'import sys; assert (3, 11) <= sys.version_info[:2] <= (3, 12), "tvm-aie needs Python 3.11 or 3.12, found " + sys.version.split()[0]'
	$(PYTHON) -m venv $(VENV)
	$(PY) -m pip install --quiet --disable-pip-version-check scikit-build-core cmake ninja apache-tvm-ffi==0.1.14.post1
	touch $@

$(VENV)/.installed: $(VENV)/.created $(NATIVE) pyproject.toml
	$(PY) -m pip install --quiet --disable-pip-version-check --no-build-isolation -e '.[dev,plot,tune]'
	touch $@

# A library for quick turns: build/dev, found by python/tvm_aie/_native.py before the installed one.
dev-lib:
	cmake -S . -B build/dev -G Ninja -DPython_EXECUTABLE=$(abspath $(PY)) > /dev/null
	cmake --build build/dev -j $(JOBS)

demo: $(VENV)/.installed
	$(PY) -m tvm_aie.cli.main demo --output out/demo

test: $(VENV)/.installed native-test
	$(PY) -m pytest -n $(JOBS) -q -m "not slow"

test-full: $(VENV)/.installed native-test
	$(PY) -m pytest -n $(JOBS) -q

bench: $(VENV)/.installed
	$(PY) benchmarks/bench.py

lint: $(VENV)/.installed
	$(VENV)/bin/ruff check python tests benchmarks tutorials
	$(VENV)/bin/mypy

# The native tests, built with AddressSanitizer and UndefinedBehaviorSanitizer.
native-test: $(VENV)/.created $(NATIVE) $(wildcard tests/native/*.cc)
	$(VENV)/bin/cmake -S . -B build/sanitize -G Ninja -DCMAKE_MAKE_PROGRAM=$(abspath $(VENV)/bin/ninja) -DTVM_AIE_SANITIZE=ON -DTVM_AIE_NATIVE_TESTS=ON -DCMAKE_BUILD_TYPE=RelWithDebInfo -DPython_EXECUTABLE=$(abspath $(PY)) > /dev/null
	$(VENV)/bin/cmake --build build/sanitize -j $(JOBS)
	set -e; for t in build/sanitize/test_*; do if [ -f $$t ] && [ -x $$t ]; then $$t; fi; done

clean:
	rm -rf build out $(VENV)
