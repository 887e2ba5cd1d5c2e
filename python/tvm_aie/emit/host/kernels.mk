# Core kernels for the AIE2 compiler (Peano, llvm-aie), and the design through mlir-aie. See docs/mlir-aie.md.
# Neither the kernels nor the design have been compiled by these tools where this file was made.
#
#   make -C kernels PEANO=/path/to/llvm-aie AIE_API=/path/to/aie_api/include         -> superkernel.o
#   make -C kernels design PEANO=...                                                  -> design.xclbin, main_*.bin
PEANO ?= $(PEANO_INSTALL_DIR)
AIE_API ?= $(MLIR_AIE_INSTALL_DIR)/include
AIECC ?= aiecc

SOURCES := superkernel_main superkernel kernel_call kernels_portable
# Kernels that the network calls, a bit per id of docs/program.md (1 conv, 2 add, 3 maxpool, 4 avgpool, 5 upsample,
# 6 scale, 7 front; 0: the copies of KEEP);
# the others are neither compiled in nor linked.
USED_KERNELS ?= 0xff
CXXFLAGS := -O2 -std=c++20 --target=aie2-none-unknown-elf -DNDEBUG -DTVM_AIE_ON_ARRAY -DTVM_AIE_USED_KERNELS=$(USED_KERNELS) \
            -fno-exceptions -fno-rtti -ffunction-sections -I include -I . -I $(AIE_API)

# Stack per core: stack_size in the design (2048 B). Program memory: 16384 B per core.
../superkernel.o: $(SOURCES:%=%.o)
	$(PEANO)/bin/ld.lld -r -o $@ $^

%.o: kernels/%.cc $(wildcard kernels/*.h kernels/*.inc include/tvm_aie/*.h)
	$(PEANO)/bin/clang++ $(CXXFLAGS) -c -o $@ $<

design: ../superkernel.o
	cd .. && $(AIECC) --no-xchesscc --no-xbridge --peano $(PEANO) --aie-generate-xclbin --xclbin-name=design.xclbin \
	  --aie-generate-npu-insts design.mlir

clean:
	rm -f *.o ../superkernel.o
.PHONY: design clean
