module {
  aie.device(npu1) @main {
    // program memory: 7680 of 16384 bytes (estimate; never compiled for the array here)
    func.func private @tvm_aie_core(memref<256xi32>, memref<2560xi8>, memref<1024xi32>, memref<6272xi8>, memref<12288xi8>, memref<36864xi8>, i32, i32, i32, i32, i32, i32, i32, i32, i32) attributes {link_with = "superkernel.o"}
    %shim_0_0 = aie.tile(0, 0) {controller_id = #aie.packet_info<pkt_type = 0, pkt_id = 15>}
    %shim_1_0 = aie.tile(1, 0) {controller_id = #aie.packet_info<pkt_type = 0, pkt_id = 15>}
    %shim_2_0 = aie.tile(2, 0) {controller_id = #aie.packet_info<pkt_type = 0, pkt_id = 15>}
    %shim_3_0 = aie.tile(3, 0) {controller_id = #aie.packet_info<pkt_type = 0, pkt_id = 15>}
    %mem_0_1 = aie.tile(0, 1) {allocation_scheme = "basic-sequential", controller_id = #aie.packet_info<pkt_type = 0, pkt_id = 26>}
    %mem_1_1 = aie.tile(1, 1) {allocation_scheme = "basic-sequential", controller_id = #aie.packet_info<pkt_type = 0, pkt_id = 26>}
    %mem_2_1 = aie.tile(2, 1) {allocation_scheme = "basic-sequential", controller_id = #aie.packet_info<pkt_type = 0, pkt_id = 26>}
    %mem_3_1 = aie.tile(3, 1) {allocation_scheme = "basic-sequential", controller_id = #aie.packet_info<pkt_type = 0, pkt_id = 26>}
    %core_0_2 = aie.tile(0, 2) {allocation_scheme = "basic-sequential"}
    %core_0_3 = aie.tile(0, 3) {allocation_scheme = "basic-sequential"}
    %core_0_4 = aie.tile(0, 4) {allocation_scheme = "basic-sequential"}
    %core_0_5 = aie.tile(0, 5) {allocation_scheme = "basic-sequential"}
    %core_1_2 = aie.tile(1, 2) {allocation_scheme = "basic-sequential"}
    %core_1_3 = aie.tile(1, 3) {allocation_scheme = "basic-sequential"}
    %core_1_4 = aie.tile(1, 4) {allocation_scheme = "basic-sequential"}
    %core_1_5 = aie.tile(1, 5) {allocation_scheme = "basic-sequential"}
    %core_2_2 = aie.tile(2, 2) {allocation_scheme = "basic-sequential"}
    %core_2_3 = aie.tile(2, 3) {allocation_scheme = "basic-sequential"}
    %core_2_4 = aie.tile(2, 4) {allocation_scheme = "basic-sequential"}
    %core_2_5 = aie.tile(2, 5) {allocation_scheme = "basic-sequential"}
    %core_3_2 = aie.tile(3, 2) {allocation_scheme = "basic-sequential"}
    %core_3_3 = aie.tile(3, 3) {allocation_scheme = "basic-sequential"}
    %core_3_4 = aie.tile(3, 4) {allocation_scheme = "basic-sequential"}
    %core_3_5 = aie.tile(3, 5) {allocation_scheme = "basic-sequential"}
    %mem_0_1_data = aie.buffer(%mem_0_1) {address = 0 : i32, sym_name = "mem_0_1_data"} : memref<524288xi8>
    %mem_1_1_data = aie.buffer(%mem_1_1) {address = 0 : i32, sym_name = "mem_1_1_data"} : memref<524288xi8>
    %mem_2_1_data = aie.buffer(%mem_2_1) {address = 0 : i32, sym_name = "mem_2_1_data"} : memref<524288xi8>
    %mem_3_1_data = aie.buffer(%mem_3_1) {address = 0 : i32, sym_name = "mem_3_1_data"} : memref<524288xi8>
    %core_0_2_ops = aie.buffer(%core_0_2) {address = 2048 : i32, sym_name = "core_0_2_ops"} : memref<256xi32>
    %core_0_2_hdr = aie.buffer(%core_0_2) {address = 3072 : i32, sym_name = "core_0_2_hdr"} : memref<2560xi8>
    %core_0_2_acc = aie.buffer(%core_0_2) {address = 5632 : i32, sym_name = "core_0_2_acc"} : memref<1024xi32>
    %core_0_2_o = aie.buffer(%core_0_2) {address = 9728 : i32, sym_name = "core_0_2_o"} : memref<6272xi8>
    %core_0_2_w = aie.buffer(%core_0_2) {address = 16000 : i32, sym_name = "core_0_2_w"} : memref<12288xi8>
    %core_0_2_a = aie.buffer(%core_0_2) {address = 28288 : i32, sym_name = "core_0_2_a"} : memref<36864xi8>
    %core_0_3_ops = aie.buffer(%core_0_3) {address = 2048 : i32, sym_name = "core_0_3_ops"} : memref<256xi32>
    %core_0_3_hdr = aie.buffer(%core_0_3) {address = 3072 : i32, sym_name = "core_0_3_hdr"} : memref<2560xi8>
    %core_0_3_acc = aie.buffer(%core_0_3) {address = 5632 : i32, sym_name = "core_0_3_acc"} : memref<1024xi32>
    %core_0_3_o = aie.buffer(%core_0_3) {address = 9728 : i32, sym_name = "core_0_3_o"} : memref<6272xi8>
    %core_0_3_w = aie.buffer(%core_0_3) {address = 16000 : i32, sym_name = "core_0_3_w"} : memref<12288xi8>
    %core_0_3_a = aie.buffer(%core_0_3) {address = 28288 : i32, sym_name = "core_0_3_a"} : memref<36864xi8>
    %core_0_4_ops = aie.buffer(%core_0_4) {address = 2048 : i32, sym_name = "core_0_4_ops"} : memref<256xi32>
    %core_0_4_hdr = aie.buffer(%core_0_4) {address = 3072 : i32, sym_name = "core_0_4_hdr"} : memref<2560xi8>
    %core_0_4_acc = aie.buffer(%core_0_4) {address = 5632 : i32, sym_name = "core_0_4_acc"} : memref<1024xi32>
    %core_0_4_o = aie.buffer(%core_0_4) {address = 9728 : i32, sym_name = "core_0_4_o"} : memref<6272xi8>
    %core_0_4_w = aie.buffer(%core_0_4) {address = 16000 : i32, sym_name = "core_0_4_w"} : memref<12288xi8>
    %core_0_4_a = aie.buffer(%core_0_4) {address = 28288 : i32, sym_name = "core_0_4_a"} : memref<36864xi8>
    %core_0_5_ops = aie.buffer(%core_0_5) {address = 2048 : i32, sym_name = "core_0_5_ops"} : memref<256xi32>
    %core_0_5_hdr = aie.buffer(%core_0_5) {address = 3072 : i32, sym_name = "core_0_5_hdr"} : memref<2560xi8>
    %core_0_5_acc = aie.buffer(%core_0_5) {address = 5632 : i32, sym_name = "core_0_5_acc"} : memref<1024xi32>
    %core_0_5_o = aie.buffer(%core_0_5) {address = 9728 : i32, sym_name = "core_0_5_o"} : memref<6272xi8>
    %core_0_5_w = aie.buffer(%core_0_5) {address = 16000 : i32, sym_name = "core_0_5_w"} : memref<12288xi8>
    %core_0_5_a = aie.buffer(%core_0_5) {address = 28288 : i32, sym_name = "core_0_5_a"} : memref<36864xi8>
    %core_1_2_ops = aie.buffer(%core_1_2) {address = 2048 : i32, sym_name = "core_1_2_ops"} : memref<256xi32>
    %core_1_2_hdr = aie.buffer(%core_1_2) {address = 3072 : i32, sym_name = "core_1_2_hdr"} : memref<2560xi8>
    %core_1_2_acc = aie.buffer(%core_1_2) {address = 5632 : i32, sym_name = "core_1_2_acc"} : memref<1024xi32>
    %core_1_2_o = aie.buffer(%core_1_2) {address = 9728 : i32, sym_name = "core_1_2_o"} : memref<6272xi8>
    %core_1_2_w = aie.buffer(%core_1_2) {address = 16000 : i32, sym_name = "core_1_2_w"} : memref<12288xi8>
    %core_1_2_a = aie.buffer(%core_1_2) {address = 28288 : i32, sym_name = "core_1_2_a"} : memref<36864xi8>
    %core_1_3_ops = aie.buffer(%core_1_3) {address = 2048 : i32, sym_name = "core_1_3_ops"} : memref<256xi32>
    %core_1_3_hdr = aie.buffer(%core_1_3) {address = 3072 : i32, sym_name = "core_1_3_hdr"} : memref<2560xi8>
    %core_1_3_acc = aie.buffer(%core_1_3) {address = 5632 : i32, sym_name = "core_1_3_acc"} : memref<1024xi32>
    %core_1_3_o = aie.buffer(%core_1_3) {address = 9728 : i32, sym_name = "core_1_3_o"} : memref<6272xi8>
    %core_1_3_w = aie.buffer(%core_1_3) {address = 16000 : i32, sym_name = "core_1_3_w"} : memref<12288xi8>
    %core_1_3_a = aie.buffer(%core_1_3) {address = 28288 : i32, sym_name = "core_1_3_a"} : memref<36864xi8>
    %core_1_4_ops = aie.buffer(%core_1_4) {address = 2048 : i32, sym_name = "core_1_4_ops"} : memref<256xi32>
    %core_1_4_hdr = aie.buffer(%core_1_4) {address = 3072 : i32, sym_name = "core_1_4_hdr"} : memref<2560xi8>
    %core_1_4_acc = aie.buffer(%core_1_4) {address = 5632 : i32, sym_name = "core_1_4_acc"} : memref<1024xi32>
    %core_1_4_o = aie.buffer(%core_1_4) {address = 9728 : i32, sym_name = "core_1_4_o"} : memref<6272xi8>
    %core_1_4_w = aie.buffer(%core_1_4) {address = 16000 : i32, sym_name = "core_1_4_w"} : memref<12288xi8>
    %core_1_4_a = aie.buffer(%core_1_4) {address = 28288 : i32, sym_name = "core_1_4_a"} : memref<36864xi8>
    %core_1_5_ops = aie.buffer(%core_1_5) {address = 2048 : i32, sym_name = "core_1_5_ops"} : memref<256xi32>
    %core_1_5_hdr = aie.buffer(%core_1_5) {address = 3072 : i32, sym_name = "core_1_5_hdr"} : memref<2560xi8>
    %core_1_5_acc = aie.buffer(%core_1_5) {address = 5632 : i32, sym_name = "core_1_5_acc"} : memref<1024xi32>
    %core_1_5_o = aie.buffer(%core_1_5) {address = 9728 : i32, sym_name = "core_1_5_o"} : memref<6272xi8>
    %core_1_5_w = aie.buffer(%core_1_5) {address = 16000 : i32, sym_name = "core_1_5_w"} : memref<12288xi8>
    %core_1_5_a = aie.buffer(%core_1_5) {address = 28288 : i32, sym_name = "core_1_5_a"} : memref<36864xi8>
    %core_2_2_ops = aie.buffer(%core_2_2) {address = 2048 : i32, sym_name = "core_2_2_ops"} : memref<256xi32>
    %core_2_2_hdr = aie.buffer(%core_2_2) {address = 3072 : i32, sym_name = "core_2_2_hdr"} : memref<2560xi8>
    %core_2_2_acc = aie.buffer(%core_2_2) {address = 5632 : i32, sym_name = "core_2_2_acc"} : memref<1024xi32>
    %core_2_2_o = aie.buffer(%core_2_2) {address = 9728 : i32, sym_name = "core_2_2_o"} : memref<6272xi8>
    %core_2_2_w = aie.buffer(%core_2_2) {address = 16000 : i32, sym_name = "core_2_2_w"} : memref<12288xi8>
    %core_2_2_a = aie.buffer(%core_2_2) {address = 28288 : i32, sym_name = "core_2_2_a"} : memref<36864xi8>
    %core_2_3_ops = aie.buffer(%core_2_3) {address = 2048 : i32, sym_name = "core_2_3_ops"} : memref<256xi32>
    %core_2_3_hdr = aie.buffer(%core_2_3) {address = 3072 : i32, sym_name = "core_2_3_hdr"} : memref<2560xi8>
    %core_2_3_acc = aie.buffer(%core_2_3) {address = 5632 : i32, sym_name = "core_2_3_acc"} : memref<1024xi32>
    %core_2_3_o = aie.buffer(%core_2_3) {address = 9728 : i32, sym_name = "core_2_3_o"} : memref<6272xi8>
    %core_2_3_w = aie.buffer(%core_2_3) {address = 16000 : i32, sym_name = "core_2_3_w"} : memref<12288xi8>
    %core_2_3_a = aie.buffer(%core_2_3) {address = 28288 : i32, sym_name = "core_2_3_a"} : memref<36864xi8>
    %core_2_4_ops = aie.buffer(%core_2_4) {address = 2048 : i32, sym_name = "core_2_4_ops"} : memref<256xi32>
    %core_2_4_hdr = aie.buffer(%core_2_4) {address = 3072 : i32, sym_name = "core_2_4_hdr"} : memref<2560xi8>
    %core_2_4_acc = aie.buffer(%core_2_4) {address = 5632 : i32, sym_name = "core_2_4_acc"} : memref<1024xi32>
    %core_2_4_o = aie.buffer(%core_2_4) {address = 9728 : i32, sym_name = "core_2_4_o"} : memref<6272xi8>
    %core_2_4_w = aie.buffer(%core_2_4) {address = 16000 : i32, sym_name = "core_2_4_w"} : memref<12288xi8>
    %core_2_4_a = aie.buffer(%core_2_4) {address = 28288 : i32, sym_name = "core_2_4_a"} : memref<36864xi8>
    %core_2_5_ops = aie.buffer(%core_2_5) {address = 2048 : i32, sym_name = "core_2_5_ops"} : memref<256xi32>
    %core_2_5_hdr = aie.buffer(%core_2_5) {address = 3072 : i32, sym_name = "core_2_5_hdr"} : memref<2560xi8>
    %core_2_5_acc = aie.buffer(%core_2_5) {address = 5632 : i32, sym_name = "core_2_5_acc"} : memref<1024xi32>
    %core_2_5_o = aie.buffer(%core_2_5) {address = 9728 : i32, sym_name = "core_2_5_o"} : memref<6272xi8>
    %core_2_5_w = aie.buffer(%core_2_5) {address = 16000 : i32, sym_name = "core_2_5_w"} : memref<12288xi8>
    %core_2_5_a = aie.buffer(%core_2_5) {address = 28288 : i32, sym_name = "core_2_5_a"} : memref<36864xi8>
    %core_3_2_ops = aie.buffer(%core_3_2) {address = 2048 : i32, sym_name = "core_3_2_ops"} : memref<256xi32>
    %core_3_2_hdr = aie.buffer(%core_3_2) {address = 3072 : i32, sym_name = "core_3_2_hdr"} : memref<2560xi8>
    %core_3_2_acc = aie.buffer(%core_3_2) {address = 5632 : i32, sym_name = "core_3_2_acc"} : memref<1024xi32>
    %core_3_2_o = aie.buffer(%core_3_2) {address = 9728 : i32, sym_name = "core_3_2_o"} : memref<6272xi8>
    %core_3_2_w = aie.buffer(%core_3_2) {address = 16000 : i32, sym_name = "core_3_2_w"} : memref<12288xi8>
    %core_3_2_a = aie.buffer(%core_3_2) {address = 28288 : i32, sym_name = "core_3_2_a"} : memref<36864xi8>
    %core_3_3_ops = aie.buffer(%core_3_3) {address = 2048 : i32, sym_name = "core_3_3_ops"} : memref<256xi32>
    %core_3_3_hdr = aie.buffer(%core_3_3) {address = 3072 : i32, sym_name = "core_3_3_hdr"} : memref<2560xi8>
    %core_3_3_acc = aie.buffer(%core_3_3) {address = 5632 : i32, sym_name = "core_3_3_acc"} : memref<1024xi32>
    %core_3_3_o = aie.buffer(%core_3_3) {address = 9728 : i32, sym_name = "core_3_3_o"} : memref<6272xi8>
    %core_3_3_w = aie.buffer(%core_3_3) {address = 16000 : i32, sym_name = "core_3_3_w"} : memref<12288xi8>
    %core_3_3_a = aie.buffer(%core_3_3) {address = 28288 : i32, sym_name = "core_3_3_a"} : memref<36864xi8>
    %core_3_4_ops = aie.buffer(%core_3_4) {address = 2048 : i32, sym_name = "core_3_4_ops"} : memref<256xi32>
    %core_3_4_hdr = aie.buffer(%core_3_4) {address = 3072 : i32, sym_name = "core_3_4_hdr"} : memref<2560xi8>
    %core_3_4_acc = aie.buffer(%core_3_4) {address = 5632 : i32, sym_name = "core_3_4_acc"} : memref<1024xi32>
    %core_3_4_o = aie.buffer(%core_3_4) {address = 9728 : i32, sym_name = "core_3_4_o"} : memref<6272xi8>
    %core_3_4_w = aie.buffer(%core_3_4) {address = 16000 : i32, sym_name = "core_3_4_w"} : memref<12288xi8>
    %core_3_4_a = aie.buffer(%core_3_4) {address = 28288 : i32, sym_name = "core_3_4_a"} : memref<36864xi8>
    %core_3_5_ops = aie.buffer(%core_3_5) {address = 2048 : i32, sym_name = "core_3_5_ops"} : memref<256xi32>
    %core_3_5_hdr = aie.buffer(%core_3_5) {address = 3072 : i32, sym_name = "core_3_5_hdr"} : memref<2560xi8>
    %core_3_5_acc = aie.buffer(%core_3_5) {address = 5632 : i32, sym_name = "core_3_5_acc"} : memref<1024xi32>
    %core_3_5_o = aie.buffer(%core_3_5) {address = 9728 : i32, sym_name = "core_3_5_o"} : memref<6272xi8>
    %core_3_5_w = aie.buffer(%core_3_5) {address = 16000 : i32, sym_name = "core_3_5_w"} : memref<12288xi8>
    %core_3_5_a = aie.buffer(%core_3_5) {address = 28288 : i32, sym_name = "core_3_5_a"} : memref<36864xi8>
    %mem_0_1_w_free = aie.lock(%mem_0_1, 0) {init = 62 : i32, sym_name = "mem_0_1_w_free"}
    %mem_0_1_w_full = aie.lock(%mem_0_1, 1) {init = 0 : i32, sym_name = "mem_0_1_w_full"}
    %mem_0_1_o_done = aie.lock(%mem_0_1, 2) {init = 0 : i32, sym_name = "mem_0_1_o_done"}
    %mem_0_1_load_go = aie.lock(%mem_0_1, 5) {init = 0 : i32, sym_name = "mem_0_1_load_go"}
    %mem_0_1_load_done = aie.lock(%mem_0_1, 6) {init = 0 : i32, sym_name = "mem_0_1_load_done"}
    %mem_1_1_w_free = aie.lock(%mem_1_1, 0) {init = 62 : i32, sym_name = "mem_1_1_w_free"}
    %mem_1_1_w_full = aie.lock(%mem_1_1, 1) {init = 0 : i32, sym_name = "mem_1_1_w_full"}
    %mem_1_1_o_done = aie.lock(%mem_1_1, 2) {init = 0 : i32, sym_name = "mem_1_1_o_done"}
    %mem_1_1_nbr_west = aie.lock(%mem_1_1, 3) {init = 0 : i32, sym_name = "mem_1_1_nbr_west"}
    %mem_1_1_load_go = aie.lock(%mem_1_1, 5) {init = 0 : i32, sym_name = "mem_1_1_load_go"}
    %mem_1_1_load_done = aie.lock(%mem_1_1, 6) {init = 0 : i32, sym_name = "mem_1_1_load_done"}
    %mem_1_1_store_go = aie.lock(%mem_1_1, 7) {init = 0 : i32, sym_name = "mem_1_1_store_go"}
    %mem_1_1_store_done = aie.lock(%mem_1_1, 8) {init = 0 : i32, sym_name = "mem_1_1_store_done"}
    %mem_2_1_w_free = aie.lock(%mem_2_1, 0) {init = 62 : i32, sym_name = "mem_2_1_w_free"}
    %mem_2_1_w_full = aie.lock(%mem_2_1, 1) {init = 0 : i32, sym_name = "mem_2_1_w_full"}
    %mem_2_1_o_done = aie.lock(%mem_2_1, 2) {init = 0 : i32, sym_name = "mem_2_1_o_done"}
    %mem_2_1_nbr_west = aie.lock(%mem_2_1, 3) {init = 0 : i32, sym_name = "mem_2_1_nbr_west"}
    %mem_2_1_load_go = aie.lock(%mem_2_1, 5) {init = 0 : i32, sym_name = "mem_2_1_load_go"}
    %mem_2_1_load_done = aie.lock(%mem_2_1, 6) {init = 0 : i32, sym_name = "mem_2_1_load_done"}
    %mem_2_1_store_go = aie.lock(%mem_2_1, 7) {init = 0 : i32, sym_name = "mem_2_1_store_go"}
    %mem_2_1_store_done = aie.lock(%mem_2_1, 8) {init = 0 : i32, sym_name = "mem_2_1_store_done"}
    %mem_3_1_w_free = aie.lock(%mem_3_1, 0) {init = 62 : i32, sym_name = "mem_3_1_w_free"}
    %mem_3_1_w_full = aie.lock(%mem_3_1, 1) {init = 0 : i32, sym_name = "mem_3_1_w_full"}
    %mem_3_1_nbr_west = aie.lock(%mem_3_1, 3) {init = 0 : i32, sym_name = "mem_3_1_nbr_west"}
    %mem_3_1_load_go = aie.lock(%mem_3_1, 5) {init = 0 : i32, sym_name = "mem_3_1_load_go"}
    %mem_3_1_load_done = aie.lock(%mem_3_1, 6) {init = 0 : i32, sym_name = "mem_3_1_load_done"}
    %core_0_2_a_free = aie.lock(%core_0_2, 0) {init = 36 : i32, sym_name = "core_0_2_a_free"}
    %core_0_2_a_full = aie.lock(%core_0_2, 1) {init = 0 : i32, sym_name = "core_0_2_a_full"}
    %core_0_2_w_free = aie.lock(%core_0_2, 2) {init = 24 : i32, sym_name = "core_0_2_w_free"}
    %core_0_2_w_full = aie.lock(%core_0_2, 3) {init = 0 : i32, sym_name = "core_0_2_w_full"}
    %core_0_2_o_free = aie.lock(%core_0_2, 4) {init = 56 : i32, sym_name = "core_0_2_o_free"}
    %core_0_2_o_full = aie.lock(%core_0_2, 5) {init = 0 : i32, sym_name = "core_0_2_o_full"}
    %core_0_3_a_free = aie.lock(%core_0_3, 0) {init = 36 : i32, sym_name = "core_0_3_a_free"}
    %core_0_3_a_full = aie.lock(%core_0_3, 1) {init = 0 : i32, sym_name = "core_0_3_a_full"}
    %core_0_3_w_free = aie.lock(%core_0_3, 2) {init = 24 : i32, sym_name = "core_0_3_w_free"}
    %core_0_3_w_full = aie.lock(%core_0_3, 3) {init = 0 : i32, sym_name = "core_0_3_w_full"}
    %core_0_3_o_free = aie.lock(%core_0_3, 4) {init = 56 : i32, sym_name = "core_0_3_o_free"}
    %core_0_3_o_full = aie.lock(%core_0_3, 5) {init = 0 : i32, sym_name = "core_0_3_o_full"}
    %core_0_4_a_free = aie.lock(%core_0_4, 0) {init = 36 : i32, sym_name = "core_0_4_a_free"}
    %core_0_4_a_full = aie.lock(%core_0_4, 1) {init = 0 : i32, sym_name = "core_0_4_a_full"}
    %core_0_4_w_free = aie.lock(%core_0_4, 2) {init = 24 : i32, sym_name = "core_0_4_w_free"}
    %core_0_4_w_full = aie.lock(%core_0_4, 3) {init = 0 : i32, sym_name = "core_0_4_w_full"}
    %core_0_4_o_free = aie.lock(%core_0_4, 4) {init = 56 : i32, sym_name = "core_0_4_o_free"}
    %core_0_4_o_full = aie.lock(%core_0_4, 5) {init = 0 : i32, sym_name = "core_0_4_o_full"}
    %core_0_5_a_free = aie.lock(%core_0_5, 0) {init = 36 : i32, sym_name = "core_0_5_a_free"}
    %core_0_5_a_full = aie.lock(%core_0_5, 1) {init = 0 : i32, sym_name = "core_0_5_a_full"}
    %core_0_5_w_free = aie.lock(%core_0_5, 2) {init = 24 : i32, sym_name = "core_0_5_w_free"}
    %core_0_5_w_full = aie.lock(%core_0_5, 3) {init = 0 : i32, sym_name = "core_0_5_w_full"}
    %core_0_5_o_free = aie.lock(%core_0_5, 4) {init = 56 : i32, sym_name = "core_0_5_o_free"}
    %core_0_5_o_full = aie.lock(%core_0_5, 5) {init = 0 : i32, sym_name = "core_0_5_o_full"}
    %core_1_2_a_free = aie.lock(%core_1_2, 0) {init = 36 : i32, sym_name = "core_1_2_a_free"}
    %core_1_2_a_full = aie.lock(%core_1_2, 1) {init = 0 : i32, sym_name = "core_1_2_a_full"}
    %core_1_2_w_free = aie.lock(%core_1_2, 2) {init = 24 : i32, sym_name = "core_1_2_w_free"}
    %core_1_2_w_full = aie.lock(%core_1_2, 3) {init = 0 : i32, sym_name = "core_1_2_w_full"}
    %core_1_2_o_free = aie.lock(%core_1_2, 4) {init = 56 : i32, sym_name = "core_1_2_o_free"}
    %core_1_2_o_full = aie.lock(%core_1_2, 5) {init = 0 : i32, sym_name = "core_1_2_o_full"}
    %core_1_3_a_free = aie.lock(%core_1_3, 0) {init = 36 : i32, sym_name = "core_1_3_a_free"}
    %core_1_3_a_full = aie.lock(%core_1_3, 1) {init = 0 : i32, sym_name = "core_1_3_a_full"}
    %core_1_3_w_free = aie.lock(%core_1_3, 2) {init = 24 : i32, sym_name = "core_1_3_w_free"}
    %core_1_3_w_full = aie.lock(%core_1_3, 3) {init = 0 : i32, sym_name = "core_1_3_w_full"}
    %core_1_3_o_free = aie.lock(%core_1_3, 4) {init = 56 : i32, sym_name = "core_1_3_o_free"}
    %core_1_3_o_full = aie.lock(%core_1_3, 5) {init = 0 : i32, sym_name = "core_1_3_o_full"}
    %core_1_4_a_free = aie.lock(%core_1_4, 0) {init = 36 : i32, sym_name = "core_1_4_a_free"}
    %core_1_4_a_full = aie.lock(%core_1_4, 1) {init = 0 : i32, sym_name = "core_1_4_a_full"}
    %core_1_4_w_free = aie.lock(%core_1_4, 2) {init = 24 : i32, sym_name = "core_1_4_w_free"}
    %core_1_4_w_full = aie.lock(%core_1_4, 3) {init = 0 : i32, sym_name = "core_1_4_w_full"}
    %core_1_4_o_free = aie.lock(%core_1_4, 4) {init = 56 : i32, sym_name = "core_1_4_o_free"}
    %core_1_4_o_full = aie.lock(%core_1_4, 5) {init = 0 : i32, sym_name = "core_1_4_o_full"}
    %core_1_5_a_free = aie.lock(%core_1_5, 0) {init = 36 : i32, sym_name = "core_1_5_a_free"}
    %core_1_5_a_full = aie.lock(%core_1_5, 1) {init = 0 : i32, sym_name = "core_1_5_a_full"}
    %core_1_5_w_free = aie.lock(%core_1_5, 2) {init = 24 : i32, sym_name = "core_1_5_w_free"}
    %core_1_5_w_full = aie.lock(%core_1_5, 3) {init = 0 : i32, sym_name = "core_1_5_w_full"}
    %core_1_5_o_free = aie.lock(%core_1_5, 4) {init = 56 : i32, sym_name = "core_1_5_o_free"}
    %core_1_5_o_full = aie.lock(%core_1_5, 5) {init = 0 : i32, sym_name = "core_1_5_o_full"}
    %core_2_2_a_free = aie.lock(%core_2_2, 0) {init = 36 : i32, sym_name = "core_2_2_a_free"}
    %core_2_2_a_full = aie.lock(%core_2_2, 1) {init = 0 : i32, sym_name = "core_2_2_a_full"}
    %core_2_2_w_free = aie.lock(%core_2_2, 2) {init = 24 : i32, sym_name = "core_2_2_w_free"}
    %core_2_2_w_full = aie.lock(%core_2_2, 3) {init = 0 : i32, sym_name = "core_2_2_w_full"}
    %core_2_2_o_free = aie.lock(%core_2_2, 4) {init = 56 : i32, sym_name = "core_2_2_o_free"}
    %core_2_2_o_full = aie.lock(%core_2_2, 5) {init = 0 : i32, sym_name = "core_2_2_o_full"}
    %core_2_3_a_free = aie.lock(%core_2_3, 0) {init = 36 : i32, sym_name = "core_2_3_a_free"}
    %core_2_3_a_full = aie.lock(%core_2_3, 1) {init = 0 : i32, sym_name = "core_2_3_a_full"}
    %core_2_3_w_free = aie.lock(%core_2_3, 2) {init = 24 : i32, sym_name = "core_2_3_w_free"}
    %core_2_3_w_full = aie.lock(%core_2_3, 3) {init = 0 : i32, sym_name = "core_2_3_w_full"}
    %core_2_3_o_free = aie.lock(%core_2_3, 4) {init = 56 : i32, sym_name = "core_2_3_o_free"}
    %core_2_3_o_full = aie.lock(%core_2_3, 5) {init = 0 : i32, sym_name = "core_2_3_o_full"}
    %core_2_4_a_free = aie.lock(%core_2_4, 0) {init = 36 : i32, sym_name = "core_2_4_a_free"}
    %core_2_4_a_full = aie.lock(%core_2_4, 1) {init = 0 : i32, sym_name = "core_2_4_a_full"}
    %core_2_4_w_free = aie.lock(%core_2_4, 2) {init = 24 : i32, sym_name = "core_2_4_w_free"}
    %core_2_4_w_full = aie.lock(%core_2_4, 3) {init = 0 : i32, sym_name = "core_2_4_w_full"}
    %core_2_4_o_free = aie.lock(%core_2_4, 4) {init = 56 : i32, sym_name = "core_2_4_o_free"}
    %core_2_4_o_full = aie.lock(%core_2_4, 5) {init = 0 : i32, sym_name = "core_2_4_o_full"}
    %core_2_5_a_free = aie.lock(%core_2_5, 0) {init = 36 : i32, sym_name = "core_2_5_a_free"}
    %core_2_5_a_full = aie.lock(%core_2_5, 1) {init = 0 : i32, sym_name = "core_2_5_a_full"}
    %core_2_5_w_free = aie.lock(%core_2_5, 2) {init = 24 : i32, sym_name = "core_2_5_w_free"}
    %core_2_5_w_full = aie.lock(%core_2_5, 3) {init = 0 : i32, sym_name = "core_2_5_w_full"}
    %core_2_5_o_free = aie.lock(%core_2_5, 4) {init = 56 : i32, sym_name = "core_2_5_o_free"}
    %core_2_5_o_full = aie.lock(%core_2_5, 5) {init = 0 : i32, sym_name = "core_2_5_o_full"}
    %core_3_2_a_free = aie.lock(%core_3_2, 0) {init = 36 : i32, sym_name = "core_3_2_a_free"}
    %core_3_2_a_full = aie.lock(%core_3_2, 1) {init = 0 : i32, sym_name = "core_3_2_a_full"}
    %core_3_2_w_free = aie.lock(%core_3_2, 2) {init = 24 : i32, sym_name = "core_3_2_w_free"}
    %core_3_2_w_full = aie.lock(%core_3_2, 3) {init = 0 : i32, sym_name = "core_3_2_w_full"}
    %core_3_2_o_free = aie.lock(%core_3_2, 4) {init = 56 : i32, sym_name = "core_3_2_o_free"}
    %core_3_2_o_full = aie.lock(%core_3_2, 5) {init = 0 : i32, sym_name = "core_3_2_o_full"}
    %core_3_3_a_free = aie.lock(%core_3_3, 0) {init = 36 : i32, sym_name = "core_3_3_a_free"}
    %core_3_3_a_full = aie.lock(%core_3_3, 1) {init = 0 : i32, sym_name = "core_3_3_a_full"}
    %core_3_3_w_free = aie.lock(%core_3_3, 2) {init = 24 : i32, sym_name = "core_3_3_w_free"}
    %core_3_3_w_full = aie.lock(%core_3_3, 3) {init = 0 : i32, sym_name = "core_3_3_w_full"}
    %core_3_3_o_free = aie.lock(%core_3_3, 4) {init = 56 : i32, sym_name = "core_3_3_o_free"}
    %core_3_3_o_full = aie.lock(%core_3_3, 5) {init = 0 : i32, sym_name = "core_3_3_o_full"}
    %core_3_4_a_free = aie.lock(%core_3_4, 0) {init = 36 : i32, sym_name = "core_3_4_a_free"}
    %core_3_4_a_full = aie.lock(%core_3_4, 1) {init = 0 : i32, sym_name = "core_3_4_a_full"}
    %core_3_4_w_free = aie.lock(%core_3_4, 2) {init = 24 : i32, sym_name = "core_3_4_w_free"}
    %core_3_4_w_full = aie.lock(%core_3_4, 3) {init = 0 : i32, sym_name = "core_3_4_w_full"}
    %core_3_4_o_free = aie.lock(%core_3_4, 4) {init = 56 : i32, sym_name = "core_3_4_o_free"}
    %core_3_4_o_full = aie.lock(%core_3_4, 5) {init = 0 : i32, sym_name = "core_3_4_o_full"}
    %core_3_5_a_free = aie.lock(%core_3_5, 0) {init = 36 : i32, sym_name = "core_3_5_a_free"}
    %core_3_5_a_full = aie.lock(%core_3_5, 1) {init = 0 : i32, sym_name = "core_3_5_a_full"}
    %core_3_5_w_free = aie.lock(%core_3_5, 2) {init = 24 : i32, sym_name = "core_3_5_w_free"}
    %core_3_5_w_full = aie.lock(%core_3_5, 3) {init = 0 : i32, sym_name = "core_3_5_w_full"}
    %core_3_5_o_free = aie.lock(%core_3_5, 4) {init = 56 : i32, sym_name = "core_3_5_o_free"}
    %core_3_5_o_full = aie.lock(%core_3_5, 5) {init = 0 : i32, sym_name = "core_3_5_o_full"}
    aie.flow(%mem_0_1, DMA : 0, %core_0_2, DMA : 0)
    aie.flow(%mem_0_1, DMA : 0, %core_0_3, DMA : 0)
    aie.flow(%mem_0_1, DMA : 0, %core_0_4, DMA : 0)
    aie.flow(%mem_0_1, DMA : 0, %core_0_5, DMA : 0)
    aie.flow(%core_0_2, DMA : 0, %mem_0_1, DMA : 1)
    aie.flow(%core_0_3, DMA : 0, %mem_0_1, DMA : 3)
    aie.flow(%core_0_4, DMA : 0, %mem_0_1, DMA : 5)
    aie.flow(%core_0_5, DMA : 0, %mem_0_1, DMA : 0)
    aie.flow(%shim_0_0, DMA : 0, %mem_0_1, DMA : 4)
    aie.flow(%mem_0_1, DMA : 3, %shim_0_0, DMA : 0)
    aie.flow(%mem_1_1, DMA : 0, %core_1_2, DMA : 0)
    aie.flow(%mem_1_1, DMA : 0, %core_1_3, DMA : 0)
    aie.flow(%mem_1_1, DMA : 0, %core_1_4, DMA : 0)
    aie.flow(%mem_1_1, DMA : 0, %core_1_5, DMA : 0)
    aie.flow(%core_1_2, DMA : 0, %mem_1_1, DMA : 1)
    aie.flow(%core_1_3, DMA : 0, %mem_1_1, DMA : 3)
    aie.flow(%core_1_4, DMA : 0, %mem_1_1, DMA : 5)
    aie.flow(%core_1_5, DMA : 0, %mem_1_1, DMA : 0)
    aie.flow(%shim_1_0, DMA : 0, %mem_1_1, DMA : 4)
    aie.flow(%mem_1_1, DMA : 3, %shim_1_0, DMA : 0)
    aie.flow(%mem_2_1, DMA : 0, %core_2_2, DMA : 0)
    aie.flow(%mem_2_1, DMA : 0, %core_2_3, DMA : 0)
    aie.flow(%mem_2_1, DMA : 0, %core_2_4, DMA : 0)
    aie.flow(%mem_2_1, DMA : 0, %core_2_5, DMA : 0)
    aie.flow(%core_2_2, DMA : 0, %mem_2_1, DMA : 1)
    aie.flow(%core_2_3, DMA : 0, %mem_2_1, DMA : 3)
    aie.flow(%core_2_4, DMA : 0, %mem_2_1, DMA : 5)
    aie.flow(%core_2_5, DMA : 0, %mem_2_1, DMA : 0)
    aie.flow(%shim_2_0, DMA : 0, %mem_2_1, DMA : 4)
    aie.flow(%mem_2_1, DMA : 3, %shim_2_0, DMA : 0)
    aie.flow(%mem_3_1, DMA : 0, %core_3_2, DMA : 0)
    aie.flow(%mem_3_1, DMA : 0, %core_3_3, DMA : 0)
    aie.flow(%mem_3_1, DMA : 0, %core_3_4, DMA : 0)
    aie.flow(%mem_3_1, DMA : 0, %core_3_5, DMA : 0)
    aie.flow(%core_3_2, DMA : 0, %mem_3_1, DMA : 1)
    aie.flow(%core_3_3, DMA : 0, %mem_3_1, DMA : 3)
    aie.flow(%core_3_4, DMA : 0, %mem_3_1, DMA : 5)
    aie.flow(%core_3_5, DMA : 0, %mem_3_1, DMA : 0)
    aie.flow(%shim_3_0, DMA : 0, %mem_3_1, DMA : 4)
    aie.flow(%mem_3_1, DMA : 3, %shim_3_0, DMA : 0)
    aie.flow(%shim_0_0, DMA : 1, %mem_0_1, DMA : 2)
    aie.flow(%mem_0_1, DMA : 1, %core_0_2, DMA : 1)
    aie.flow(%mem_0_1, DMA : 1, %core_1_2, DMA : 1)
    aie.flow(%mem_0_1, DMA : 1, %core_2_2, DMA : 1)
    aie.flow(%mem_0_1, DMA : 1, %core_3_2, DMA : 1)
    aie.flow(%shim_1_0, DMA : 1, %mem_1_1, DMA : 2)
    aie.flow(%mem_1_1, DMA : 1, %core_0_3, DMA : 1)
    aie.flow(%mem_1_1, DMA : 1, %core_1_3, DMA : 1)
    aie.flow(%mem_1_1, DMA : 1, %core_2_3, DMA : 1)
    aie.flow(%mem_1_1, DMA : 1, %core_3_3, DMA : 1)
    aie.flow(%shim_2_0, DMA : 1, %mem_2_1, DMA : 2)
    aie.flow(%mem_2_1, DMA : 1, %core_0_4, DMA : 1)
    aie.flow(%mem_2_1, DMA : 1, %core_1_4, DMA : 1)
    aie.flow(%mem_2_1, DMA : 1, %core_2_4, DMA : 1)
    aie.flow(%mem_2_1, DMA : 1, %core_3_4, DMA : 1)
    aie.flow(%shim_3_0, DMA : 1, %mem_3_1, DMA : 2)
    aie.flow(%mem_3_1, DMA : 1, %core_0_5, DMA : 1)
    aie.flow(%mem_3_1, DMA : 1, %core_1_5, DMA : 1)
    aie.flow(%mem_3_1, DMA : 1, %core_2_5, DMA : 1)
    aie.flow(%mem_3_1, DMA : 1, %core_3_5, DMA : 1)
    aie.packet_flow(15) {
      aie.packet_source<%shim_1_0, TileControl : 0>
      aie.packet_dest<%shim_1_0, South : 0>
    } {keep_pkt_header = true, priority_route = true}
    aie.packet_flow(15) {
      aie.packet_source<%shim_2_0, TileControl : 0>
      aie.packet_dest<%shim_2_0, South : 0>
    } {keep_pkt_header = true, priority_route = true}
    aie.packet_flow(26) {
      aie.packet_source<%mem_0_1, TileControl : 0>
      aie.packet_dest<%shim_0_0, South : 0>
    } {keep_pkt_header = true, priority_route = true}
    aie.packet_flow(26) {
      aie.packet_source<%mem_1_1, TileControl : 0>
      aie.packet_dest<%shim_1_0, South : 0>
    } {keep_pkt_header = true, priority_route = true}
    aie.packet_flow(26) {
      aie.packet_source<%mem_2_1, TileControl : 0>
      aie.packet_dest<%shim_2_0, South : 0>
    } {keep_pkt_header = true, priority_route = true}
    aie.packet_flow(26) {
      aie.packet_source<%mem_3_1, TileControl : 0>
      aie.packet_dest<%shim_3_0, South : 0>
    } {keep_pkt_header = true, priority_route = true}
    %core_0_2_program = aie.core(%core_0_2) {
      %c0 = arith.constant 0 : index
      %c1 = arith.constant 1 : index
      %forever = arith.constant 9223372036854775807 : index
      %ops_bytes = arith.constant 1024 : i32
      %hdr_bytes = arith.constant 2560 : i32
      %acc_bytes = arith.constant 4096 : i32
      %o_slot = arith.constant 112 : i32
      %o_slots = arith.constant 56 : i32
      %w_slot = arith.constant 512 : i32
      %w_slots = arith.constant 24 : i32
      %a_slot = arith.constant 1024 : i32
      %a_slots = arith.constant 36 : i32
      scf.for %i = %c0 to %forever step %c1 {
        func.call @tvm_aie_core(%core_0_2_ops, %core_0_2_hdr, %core_0_2_acc, %core_0_2_o, %core_0_2_w, %core_0_2_a, %ops_bytes, %hdr_bytes, %acc_bytes, %o_slot, %o_slots, %w_slot, %w_slots, %a_slot, %a_slots) : (memref<256xi32>, memref<2560xi8>, memref<1024xi32>, memref<6272xi8>, memref<12288xi8>, memref<36864xi8>, i32, i32, i32, i32, i32, i32, i32, i32, i32) -> ()
      }
      aie.end
    } {stack_size = 2048 : i32}
    %core_0_3_program = aie.core(%core_0_3) {
      %c0 = arith.constant 0 : index
      %c1 = arith.constant 1 : index
      %forever = arith.constant 9223372036854775807 : index
      %ops_bytes = arith.constant 1024 : i32
      %hdr_bytes = arith.constant 2560 : i32
      %acc_bytes = arith.constant 4096 : i32
      %o_slot = arith.constant 112 : i32
      %o_slots = arith.constant 56 : i32
      %w_slot = arith.constant 512 : i32
      %w_slots = arith.constant 24 : i32
      %a_slot = arith.constant 1024 : i32
      %a_slots = arith.constant 36 : i32
      scf.for %i = %c0 to %forever step %c1 {
        func.call @tvm_aie_core(%core_0_3_ops, %core_0_3_hdr, %core_0_3_acc, %core_0_3_o, %core_0_3_w, %core_0_3_a, %ops_bytes, %hdr_bytes, %acc_bytes, %o_slot, %o_slots, %w_slot, %w_slots, %a_slot, %a_slots) : (memref<256xi32>, memref<2560xi8>, memref<1024xi32>, memref<6272xi8>, memref<12288xi8>, memref<36864xi8>, i32, i32, i32, i32, i32, i32, i32, i32, i32) -> ()
      }
      aie.end
    } {stack_size = 2048 : i32}
    %core_0_4_program = aie.core(%core_0_4) {
      %c0 = arith.constant 0 : index
      %c1 = arith.constant 1 : index
      %forever = arith.constant 9223372036854775807 : index
      %ops_bytes = arith.constant 1024 : i32
      %hdr_bytes = arith.constant 2560 : i32
      %acc_bytes = arith.constant 4096 : i32
      %o_slot = arith.constant 112 : i32
      %o_slots = arith.constant 56 : i32
      %w_slot = arith.constant 512 : i32
      %w_slots = arith.constant 24 : i32
      %a_slot = arith.constant 1024 : i32
      %a_slots = arith.constant 36 : i32
      scf.for %i = %c0 to %forever step %c1 {
        func.call @tvm_aie_core(%core_0_4_ops, %core_0_4_hdr, %core_0_4_acc, %core_0_4_o, %core_0_4_w, %core_0_4_a, %ops_bytes, %hdr_bytes, %acc_bytes, %o_slot, %o_slots, %w_slot, %w_slots, %a_slot, %a_slots) : (memref<256xi32>, memref<2560xi8>, memref<1024xi32>, memref<6272xi8>, memref<12288xi8>, memref<36864xi8>, i32, i32, i32, i32, i32, i32, i32, i32, i32) -> ()
      }
      aie.end
    } {stack_size = 2048 : i32}
    %core_0_5_program = aie.core(%core_0_5) {
      %c0 = arith.constant 0 : index
      %c1 = arith.constant 1 : index
      %forever = arith.constant 9223372036854775807 : index
      %ops_bytes = arith.constant 1024 : i32
      %hdr_bytes = arith.constant 2560 : i32
      %acc_bytes = arith.constant 4096 : i32
      %o_slot = arith.constant 112 : i32
      %o_slots = arith.constant 56 : i32
      %w_slot = arith.constant 512 : i32
      %w_slots = arith.constant 24 : i32
      %a_slot = arith.constant 1024 : i32
      %a_slots = arith.constant 36 : i32
      scf.for %i = %c0 to %forever step %c1 {
        func.call @tvm_aie_core(%core_0_5_ops, %core_0_5_hdr, %core_0_5_acc, %core_0_5_o, %core_0_5_w, %core_0_5_a, %ops_bytes, %hdr_bytes, %acc_bytes, %o_slot, %o_slots, %w_slot, %w_slots, %a_slot, %a_slots) : (memref<256xi32>, memref<2560xi8>, memref<1024xi32>, memref<6272xi8>, memref<12288xi8>, memref<36864xi8>, i32, i32, i32, i32, i32, i32, i32, i32, i32) -> ()
      }
      aie.end
    } {stack_size = 2048 : i32}
    %core_1_2_program = aie.core(%core_1_2) {
      %c0 = arith.constant 0 : index
      %c1 = arith.constant 1 : index
      %forever = arith.constant 9223372036854775807 : index
      %ops_bytes = arith.constant 1024 : i32
      %hdr_bytes = arith.constant 2560 : i32
      %acc_bytes = arith.constant 4096 : i32
      %o_slot = arith.constant 112 : i32
      %o_slots = arith.constant 56 : i32
      %w_slot = arith.constant 512 : i32
      %w_slots = arith.constant 24 : i32
      %a_slot = arith.constant 1024 : i32
      %a_slots = arith.constant 36 : i32
      scf.for %i = %c0 to %forever step %c1 {
        func.call @tvm_aie_core(%core_1_2_ops, %core_1_2_hdr, %core_1_2_acc, %core_1_2_o, %core_1_2_w, %core_1_2_a, %ops_bytes, %hdr_bytes, %acc_bytes, %o_slot, %o_slots, %w_slot, %w_slots, %a_slot, %a_slots) : (memref<256xi32>, memref<2560xi8>, memref<1024xi32>, memref<6272xi8>, memref<12288xi8>, memref<36864xi8>, i32, i32, i32, i32, i32, i32, i32, i32, i32) -> ()
      }
      aie.end
    } {stack_size = 2048 : i32}
    %core_1_3_program = aie.core(%core_1_3) {
      %c0 = arith.constant 0 : index
      %c1 = arith.constant 1 : index
      %forever = arith.constant 9223372036854775807 : index
      %ops_bytes = arith.constant 1024 : i32
      %hdr_bytes = arith.constant 2560 : i32
      %acc_bytes = arith.constant 4096 : i32
      %o_slot = arith.constant 112 : i32
      %o_slots = arith.constant 56 : i32
      %w_slot = arith.constant 512 : i32
      %w_slots = arith.constant 24 : i32
      %a_slot = arith.constant 1024 : i32
      %a_slots = arith.constant 36 : i32
      scf.for %i = %c0 to %forever step %c1 {
        func.call @tvm_aie_core(%core_1_3_ops, %core_1_3_hdr, %core_1_3_acc, %core_1_3_o, %core_1_3_w, %core_1_3_a, %ops_bytes, %hdr_bytes, %acc_bytes, %o_slot, %o_slots, %w_slot, %w_slots, %a_slot, %a_slots) : (memref<256xi32>, memref<2560xi8>, memref<1024xi32>, memref<6272xi8>, memref<12288xi8>, memref<36864xi8>, i32, i32, i32, i32, i32, i32, i32, i32, i32) -> ()
      }
      aie.end
    } {stack_size = 2048 : i32}
    %core_1_4_program = aie.core(%core_1_4) {
      %c0 = arith.constant 0 : index
      %c1 = arith.constant 1 : index
      %forever = arith.constant 9223372036854775807 : index
      %ops_bytes = arith.constant 1024 : i32
      %hdr_bytes = arith.constant 2560 : i32
      %acc_bytes = arith.constant 4096 : i32
      %o_slot = arith.constant 112 : i32
      %o_slots = arith.constant 56 : i32
      %w_slot = arith.constant 512 : i32
      %w_slots = arith.constant 24 : i32
      %a_slot = arith.constant 1024 : i32
      %a_slots = arith.constant 36 : i32
      scf.for %i = %c0 to %forever step %c1 {
        func.call @tvm_aie_core(%core_1_4_ops, %core_1_4_hdr, %core_1_4_acc, %core_1_4_o, %core_1_4_w, %core_1_4_a, %ops_bytes, %hdr_bytes, %acc_bytes, %o_slot, %o_slots, %w_slot, %w_slots, %a_slot, %a_slots) : (memref<256xi32>, memref<2560xi8>, memref<1024xi32>, memref<6272xi8>, memref<12288xi8>, memref<36864xi8>, i32, i32, i32, i32, i32, i32, i32, i32, i32) -> ()
      }
      aie.end
    } {stack_size = 2048 : i32}
    %core_1_5_program = aie.core(%core_1_5) {
      %c0 = arith.constant 0 : index
      %c1 = arith.constant 1 : index
      %forever = arith.constant 9223372036854775807 : index
      %ops_bytes = arith.constant 1024 : i32
      %hdr_bytes = arith.constant 2560 : i32
      %acc_bytes = arith.constant 4096 : i32
      %o_slot = arith.constant 112 : i32
      %o_slots = arith.constant 56 : i32
      %w_slot = arith.constant 512 : i32
      %w_slots = arith.constant 24 : i32
      %a_slot = arith.constant 1024 : i32
      %a_slots = arith.constant 36 : i32
      scf.for %i = %c0 to %forever step %c1 {
        func.call @tvm_aie_core(%core_1_5_ops, %core_1_5_hdr, %core_1_5_acc, %core_1_5_o, %core_1_5_w, %core_1_5_a, %ops_bytes, %hdr_bytes, %acc_bytes, %o_slot, %o_slots, %w_slot, %w_slots, %a_slot, %a_slots) : (memref<256xi32>, memref<2560xi8>, memref<1024xi32>, memref<6272xi8>, memref<12288xi8>, memref<36864xi8>, i32, i32, i32, i32, i32, i32, i32, i32, i32) -> ()
      }
      aie.end
    } {stack_size = 2048 : i32}
    %core_2_2_program = aie.core(%core_2_2) {
      %c0 = arith.constant 0 : index
      %c1 = arith.constant 1 : index
      %forever = arith.constant 9223372036854775807 : index
      %ops_bytes = arith.constant 1024 : i32
      %hdr_bytes = arith.constant 2560 : i32
      %acc_bytes = arith.constant 4096 : i32
      %o_slot = arith.constant 112 : i32
      %o_slots = arith.constant 56 : i32
      %w_slot = arith.constant 512 : i32
      %w_slots = arith.constant 24 : i32
      %a_slot = arith.constant 1024 : i32
      %a_slots = arith.constant 36 : i32
      scf.for %i = %c0 to %forever step %c1 {
        func.call @tvm_aie_core(%core_2_2_ops, %core_2_2_hdr, %core_2_2_acc, %core_2_2_o, %core_2_2_w, %core_2_2_a, %ops_bytes, %hdr_bytes, %acc_bytes, %o_slot, %o_slots, %w_slot, %w_slots, %a_slot, %a_slots) : (memref<256xi32>, memref<2560xi8>, memref<1024xi32>, memref<6272xi8>, memref<12288xi8>, memref<36864xi8>, i32, i32, i32, i32, i32, i32, i32, i32, i32) -> ()
      }
      aie.end
    } {stack_size = 2048 : i32}
    %core_2_3_program = aie.core(%core_2_3) {
      %c0 = arith.constant 0 : index
      %c1 = arith.constant 1 : index
      %forever = arith.constant 9223372036854775807 : index
      %ops_bytes = arith.constant 1024 : i32
      %hdr_bytes = arith.constant 2560 : i32
      %acc_bytes = arith.constant 4096 : i32
      %o_slot = arith.constant 112 : i32
      %o_slots = arith.constant 56 : i32
      %w_slot = arith.constant 512 : i32
      %w_slots = arith.constant 24 : i32
      %a_slot = arith.constant 1024 : i32
      %a_slots = arith.constant 36 : i32
      scf.for %i = %c0 to %forever step %c1 {
        func.call @tvm_aie_core(%core_2_3_ops, %core_2_3_hdr, %core_2_3_acc, %core_2_3_o, %core_2_3_w, %core_2_3_a, %ops_bytes, %hdr_bytes, %acc_bytes, %o_slot, %o_slots, %w_slot, %w_slots, %a_slot, %a_slots) : (memref<256xi32>, memref<2560xi8>, memref<1024xi32>, memref<6272xi8>, memref<12288xi8>, memref<36864xi8>, i32, i32, i32, i32, i32, i32, i32, i32, i32) -> ()
      }
      aie.end
    } {stack_size = 2048 : i32}
    %core_2_4_program = aie.core(%core_2_4) {
      %c0 = arith.constant 0 : index
      %c1 = arith.constant 1 : index
      %forever = arith.constant 9223372036854775807 : index
      %ops_bytes = arith.constant 1024 : i32
      %hdr_bytes = arith.constant 2560 : i32
      %acc_bytes = arith.constant 4096 : i32
      %o_slot = arith.constant 112 : i32
      %o_slots = arith.constant 56 : i32
      %w_slot = arith.constant 512 : i32
      %w_slots = arith.constant 24 : i32
      %a_slot = arith.constant 1024 : i32
      %a_slots = arith.constant 36 : i32
      scf.for %i = %c0 to %forever step %c1 {
        func.call @tvm_aie_core(%core_2_4_ops, %core_2_4_hdr, %core_2_4_acc, %core_2_4_o, %core_2_4_w, %core_2_4_a, %ops_bytes, %hdr_bytes, %acc_bytes, %o_slot, %o_slots, %w_slot, %w_slots, %a_slot, %a_slots) : (memref<256xi32>, memref<2560xi8>, memref<1024xi32>, memref<6272xi8>, memref<12288xi8>, memref<36864xi8>, i32, i32, i32, i32, i32, i32, i32, i32, i32) -> ()
      }
      aie.end
    } {stack_size = 2048 : i32}
    %core_2_5_program = aie.core(%core_2_5) {
      %c0 = arith.constant 0 : index
      %c1 = arith.constant 1 : index
      %forever = arith.constant 9223372036854775807 : index
      %ops_bytes = arith.constant 1024 : i32
      %hdr_bytes = arith.constant 2560 : i32
      %acc_bytes = arith.constant 4096 : i32
      %o_slot = arith.constant 112 : i32
      %o_slots = arith.constant 56 : i32
      %w_slot = arith.constant 512 : i32
      %w_slots = arith.constant 24 : i32
      %a_slot = arith.constant 1024 : i32
      %a_slots = arith.constant 36 : i32
      scf.for %i = %c0 to %forever step %c1 {
        func.call @tvm_aie_core(%core_2_5_ops, %core_2_5_hdr, %core_2_5_acc, %core_2_5_o, %core_2_5_w, %core_2_5_a, %ops_bytes, %hdr_bytes, %acc_bytes, %o_slot, %o_slots, %w_slot, %w_slots, %a_slot, %a_slots) : (memref<256xi32>, memref<2560xi8>, memref<1024xi32>, memref<6272xi8>, memref<12288xi8>, memref<36864xi8>, i32, i32, i32, i32, i32, i32, i32, i32, i32) -> ()
      }
      aie.end
    } {stack_size = 2048 : i32}
    %core_3_2_program = aie.core(%core_3_2) {
      %c0 = arith.constant 0 : index
      %c1 = arith.constant 1 : index
      %forever = arith.constant 9223372036854775807 : index
      %ops_bytes = arith.constant 1024 : i32
      %hdr_bytes = arith.constant 2560 : i32
      %acc_bytes = arith.constant 4096 : i32
      %o_slot = arith.constant 112 : i32
      %o_slots = arith.constant 56 : i32
      %w_slot = arith.constant 512 : i32
      %w_slots = arith.constant 24 : i32
      %a_slot = arith.constant 1024 : i32
      %a_slots = arith.constant 36 : i32
      scf.for %i = %c0 to %forever step %c1 {
        func.call @tvm_aie_core(%core_3_2_ops, %core_3_2_hdr, %core_3_2_acc, %core_3_2_o, %core_3_2_w, %core_3_2_a, %ops_bytes, %hdr_bytes, %acc_bytes, %o_slot, %o_slots, %w_slot, %w_slots, %a_slot, %a_slots) : (memref<256xi32>, memref<2560xi8>, memref<1024xi32>, memref<6272xi8>, memref<12288xi8>, memref<36864xi8>, i32, i32, i32, i32, i32, i32, i32, i32, i32) -> ()
      }
      aie.end
    } {stack_size = 2048 : i32}
    %core_3_3_program = aie.core(%core_3_3) {
      %c0 = arith.constant 0 : index
      %c1 = arith.constant 1 : index
      %forever = arith.constant 9223372036854775807 : index
      %ops_bytes = arith.constant 1024 : i32
      %hdr_bytes = arith.constant 2560 : i32
      %acc_bytes = arith.constant 4096 : i32
      %o_slot = arith.constant 112 : i32
      %o_slots = arith.constant 56 : i32
      %w_slot = arith.constant 512 : i32
      %w_slots = arith.constant 24 : i32
      %a_slot = arith.constant 1024 : i32
      %a_slots = arith.constant 36 : i32
      scf.for %i = %c0 to %forever step %c1 {
        func.call @tvm_aie_core(%core_3_3_ops, %core_3_3_hdr, %core_3_3_acc, %core_3_3_o, %core_3_3_w, %core_3_3_a, %ops_bytes, %hdr_bytes, %acc_bytes, %o_slot, %o_slots, %w_slot, %w_slots, %a_slot, %a_slots) : (memref<256xi32>, memref<2560xi8>, memref<1024xi32>, memref<6272xi8>, memref<12288xi8>, memref<36864xi8>, i32, i32, i32, i32, i32, i32, i32, i32, i32) -> ()
      }
      aie.end
    } {stack_size = 2048 : i32}
    %core_3_4_program = aie.core(%core_3_4) {
      %c0 = arith.constant 0 : index
      %c1 = arith.constant 1 : index
      %forever = arith.constant 9223372036854775807 : index
      %ops_bytes = arith.constant 1024 : i32
      %hdr_bytes = arith.constant 2560 : i32
      %acc_bytes = arith.constant 4096 : i32
      %o_slot = arith.constant 112 : i32
      %o_slots = arith.constant 56 : i32
      %w_slot = arith.constant 512 : i32
      %w_slots = arith.constant 24 : i32
      %a_slot = arith.constant 1024 : i32
      %a_slots = arith.constant 36 : i32
      scf.for %i = %c0 to %forever step %c1 {
        func.call @tvm_aie_core(%core_3_4_ops, %core_3_4_hdr, %core_3_4_acc, %core_3_4_o, %core_3_4_w, %core_3_4_a, %ops_bytes, %hdr_bytes, %acc_bytes, %o_slot, %o_slots, %w_slot, %w_slots, %a_slot, %a_slots) : (memref<256xi32>, memref<2560xi8>, memref<1024xi32>, memref<6272xi8>, memref<12288xi8>, memref<36864xi8>, i32, i32, i32, i32, i32, i32, i32, i32, i32) -> ()
      }
      aie.end
    } {stack_size = 2048 : i32}
    %core_3_5_program = aie.core(%core_3_5) {
      %c0 = arith.constant 0 : index
      %c1 = arith.constant 1 : index
      %forever = arith.constant 9223372036854775807 : index
      %ops_bytes = arith.constant 1024 : i32
      %hdr_bytes = arith.constant 2560 : i32
      %acc_bytes = arith.constant 4096 : i32
      %o_slot = arith.constant 112 : i32
      %o_slots = arith.constant 56 : i32
      %w_slot = arith.constant 512 : i32
      %w_slots = arith.constant 24 : i32
      %a_slot = arith.constant 1024 : i32
      %a_slots = arith.constant 36 : i32
      scf.for %i = %c0 to %forever step %c1 {
        func.call @tvm_aie_core(%core_3_5_ops, %core_3_5_hdr, %core_3_5_acc, %core_3_5_o, %core_3_5_w, %core_3_5_a, %ops_bytes, %hdr_bytes, %acc_bytes, %o_slot, %o_slots, %w_slot, %w_slots, %a_slot, %a_slots) : (memref<256xi32>, memref<2560xi8>, memref<1024xi32>, memref<6272xi8>, memref<12288xi8>, memref<36864xi8>, i32, i32, i32, i32, i32, i32, i32, i32, i32) -> ()
      }
      aie.end
    } {stack_size = 2048 : i32}
    aie.runtime_sequence @configure(%weights: memref<12288xi32>, %input: memref<400xi32>, %output: memref<400xi32>, %scratch: memref<1xi32>) {
      // channels of cores and memtiles: reset, then free
      aiex.npu.maskwrite32 {address = 656912 : ui32, column = 0 : i32, mask = 2 : ui32, row = 1 : i32, value = 2 : ui32}
      aiex.npu.maskwrite32 {address = 656928 : ui32, column = 0 : i32, mask = 2 : ui32, row = 1 : i32, value = 2 : ui32}
      aiex.npu.maskwrite32 {address = 656944 : ui32, column = 0 : i32, mask = 2 : ui32, row = 1 : i32, value = 2 : ui32}
      aiex.npu.maskwrite32 {address = 656952 : ui32, column = 0 : i32, mask = 2 : ui32, row = 1 : i32, value = 2 : ui32}
      aiex.npu.maskwrite32 {address = 656904 : ui32, column = 1 : i32, mask = 2 : ui32, row = 1 : i32, value = 2 : ui32}
      aiex.npu.maskwrite32 {address = 656912 : ui32, column = 1 : i32, mask = 2 : ui32, row = 1 : i32, value = 2 : ui32}
      aiex.npu.maskwrite32 {address = 656920 : ui32, column = 1 : i32, mask = 2 : ui32, row = 1 : i32, value = 2 : ui32}
      aiex.npu.maskwrite32 {address = 656928 : ui32, column = 1 : i32, mask = 2 : ui32, row = 1 : i32, value = 2 : ui32}
      aiex.npu.maskwrite32 {address = 656936 : ui32, column = 1 : i32, mask = 2 : ui32, row = 1 : i32, value = 2 : ui32}
      aiex.npu.maskwrite32 {address = 656944 : ui32, column = 1 : i32, mask = 2 : ui32, row = 1 : i32, value = 2 : ui32}
      aiex.npu.maskwrite32 {address = 656952 : ui32, column = 1 : i32, mask = 2 : ui32, row = 1 : i32, value = 2 : ui32}
      aiex.npu.maskwrite32 {address = 656968 : ui32, column = 1 : i32, mask = 2 : ui32, row = 1 : i32, value = 2 : ui32}
      aiex.npu.maskwrite32 {address = 656904 : ui32, column = 2 : i32, mask = 2 : ui32, row = 1 : i32, value = 2 : ui32}
      aiex.npu.maskwrite32 {address = 656912 : ui32, column = 2 : i32, mask = 2 : ui32, row = 1 : i32, value = 2 : ui32}
      aiex.npu.maskwrite32 {address = 656920 : ui32, column = 2 : i32, mask = 2 : ui32, row = 1 : i32, value = 2 : ui32}
      aiex.npu.maskwrite32 {address = 656928 : ui32, column = 2 : i32, mask = 2 : ui32, row = 1 : i32, value = 2 : ui32}
      aiex.npu.maskwrite32 {address = 656936 : ui32, column = 2 : i32, mask = 2 : ui32, row = 1 : i32, value = 2 : ui32}
      aiex.npu.maskwrite32 {address = 656944 : ui32, column = 2 : i32, mask = 2 : ui32, row = 1 : i32, value = 2 : ui32}
      aiex.npu.maskwrite32 {address = 656952 : ui32, column = 2 : i32, mask = 2 : ui32, row = 1 : i32, value = 2 : ui32}
      aiex.npu.maskwrite32 {address = 656968 : ui32, column = 2 : i32, mask = 2 : ui32, row = 1 : i32, value = 2 : ui32}
      aiex.npu.maskwrite32 {address = 656912 : ui32, column = 3 : i32, mask = 2 : ui32, row = 1 : i32, value = 2 : ui32}
      aiex.npu.maskwrite32 {address = 656928 : ui32, column = 3 : i32, mask = 2 : ui32, row = 1 : i32, value = 2 : ui32}
      aiex.npu.maskwrite32 {address = 656944 : ui32, column = 3 : i32, mask = 2 : ui32, row = 1 : i32, value = 2 : ui32}
      aiex.npu.maskwrite32 {address = 656952 : ui32, column = 3 : i32, mask = 2 : ui32, row = 1 : i32, value = 2 : ui32}
      aiex.npu.maskwrite32 {address = 122368 : ui32, column = 0 : i32, mask = 2 : ui32, row = 2 : i32, value = 2 : ui32}
      aiex.npu.maskwrite32 {address = 122376 : ui32, column = 0 : i32, mask = 2 : ui32, row = 2 : i32, value = 2 : ui32}
      aiex.npu.maskwrite32 {address = 122384 : ui32, column = 0 : i32, mask = 2 : ui32, row = 2 : i32, value = 2 : ui32}
      aiex.npu.maskwrite32 {address = 122368 : ui32, column = 0 : i32, mask = 2 : ui32, row = 3 : i32, value = 2 : ui32}
      aiex.npu.maskwrite32 {address = 122376 : ui32, column = 0 : i32, mask = 2 : ui32, row = 3 : i32, value = 2 : ui32}
      aiex.npu.maskwrite32 {address = 122384 : ui32, column = 0 : i32, mask = 2 : ui32, row = 3 : i32, value = 2 : ui32}
      aiex.npu.maskwrite32 {address = 122368 : ui32, column = 0 : i32, mask = 2 : ui32, row = 4 : i32, value = 2 : ui32}
      aiex.npu.maskwrite32 {address = 122376 : ui32, column = 0 : i32, mask = 2 : ui32, row = 4 : i32, value = 2 : ui32}
      aiex.npu.maskwrite32 {address = 122384 : ui32, column = 0 : i32, mask = 2 : ui32, row = 4 : i32, value = 2 : ui32}
      aiex.npu.maskwrite32 {address = 122368 : ui32, column = 0 : i32, mask = 2 : ui32, row = 5 : i32, value = 2 : ui32}
      aiex.npu.maskwrite32 {address = 122376 : ui32, column = 0 : i32, mask = 2 : ui32, row = 5 : i32, value = 2 : ui32}
      aiex.npu.maskwrite32 {address = 122384 : ui32, column = 0 : i32, mask = 2 : ui32, row = 5 : i32, value = 2 : ui32}
      aiex.npu.maskwrite32 {address = 122368 : ui32, column = 1 : i32, mask = 2 : ui32, row = 2 : i32, value = 2 : ui32}
      aiex.npu.maskwrite32 {address = 122376 : ui32, column = 1 : i32, mask = 2 : ui32, row = 2 : i32, value = 2 : ui32}
      aiex.npu.maskwrite32 {address = 122384 : ui32, column = 1 : i32, mask = 2 : ui32, row = 2 : i32, value = 2 : ui32}
      aiex.npu.maskwrite32 {address = 122368 : ui32, column = 1 : i32, mask = 2 : ui32, row = 3 : i32, value = 2 : ui32}
      aiex.npu.maskwrite32 {address = 122376 : ui32, column = 1 : i32, mask = 2 : ui32, row = 3 : i32, value = 2 : ui32}
      aiex.npu.maskwrite32 {address = 122384 : ui32, column = 1 : i32, mask = 2 : ui32, row = 3 : i32, value = 2 : ui32}
      aiex.npu.maskwrite32 {address = 122368 : ui32, column = 1 : i32, mask = 2 : ui32, row = 4 : i32, value = 2 : ui32}
      aiex.npu.maskwrite32 {address = 122376 : ui32, column = 1 : i32, mask = 2 : ui32, row = 4 : i32, value = 2 : ui32}
      aiex.npu.maskwrite32 {address = 122384 : ui32, column = 1 : i32, mask = 2 : ui32, row = 4 : i32, value = 2 : ui32}
      aiex.npu.maskwrite32 {address = 122368 : ui32, column = 1 : i32, mask = 2 : ui32, row = 5 : i32, value = 2 : ui32}
      aiex.npu.maskwrite32 {address = 122376 : ui32, column = 1 : i32, mask = 2 : ui32, row = 5 : i32, value = 2 : ui32}
      aiex.npu.maskwrite32 {address = 122384 : ui32, column = 1 : i32, mask = 2 : ui32, row = 5 : i32, value = 2 : ui32}
      aiex.npu.maskwrite32 {address = 122368 : ui32, column = 2 : i32, mask = 2 : ui32, row = 2 : i32, value = 2 : ui32}
      aiex.npu.maskwrite32 {address = 122376 : ui32, column = 2 : i32, mask = 2 : ui32, row = 2 : i32, value = 2 : ui32}
      aiex.npu.maskwrite32 {address = 122384 : ui32, column = 2 : i32, mask = 2 : ui32, row = 2 : i32, value = 2 : ui32}
      aiex.npu.maskwrite32 {address = 122368 : ui32, column = 2 : i32, mask = 2 : ui32, row = 3 : i32, value = 2 : ui32}
      aiex.npu.maskwrite32 {address = 122376 : ui32, column = 2 : i32, mask = 2 : ui32, row = 3 : i32, value = 2 : ui32}
      aiex.npu.maskwrite32 {address = 122384 : ui32, column = 2 : i32, mask = 2 : ui32, row = 3 : i32, value = 2 : ui32}
      aiex.npu.maskwrite32 {address = 122368 : ui32, column = 2 : i32, mask = 2 : ui32, row = 4 : i32, value = 2 : ui32}
      aiex.npu.maskwrite32 {address = 122376 : ui32, column = 2 : i32, mask = 2 : ui32, row = 4 : i32, value = 2 : ui32}
      aiex.npu.maskwrite32 {address = 122384 : ui32, column = 2 : i32, mask = 2 : ui32, row = 4 : i32, value = 2 : ui32}
      aiex.npu.maskwrite32 {address = 122368 : ui32, column = 2 : i32, mask = 2 : ui32, row = 5 : i32, value = 2 : ui32}
      aiex.npu.maskwrite32 {address = 122376 : ui32, column = 2 : i32, mask = 2 : ui32, row = 5 : i32, value = 2 : ui32}
      aiex.npu.maskwrite32 {address = 122384 : ui32, column = 2 : i32, mask = 2 : ui32, row = 5 : i32, value = 2 : ui32}
      aiex.npu.maskwrite32 {address = 122368 : ui32, column = 3 : i32, mask = 2 : ui32, row = 2 : i32, value = 2 : ui32}
      aiex.npu.maskwrite32 {address = 122376 : ui32, column = 3 : i32, mask = 2 : ui32, row = 2 : i32, value = 2 : ui32}
      aiex.npu.maskwrite32 {address = 122384 : ui32, column = 3 : i32, mask = 2 : ui32, row = 2 : i32, value = 2 : ui32}
      aiex.npu.maskwrite32 {address = 122368 : ui32, column = 3 : i32, mask = 2 : ui32, row = 3 : i32, value = 2 : ui32}
      aiex.npu.maskwrite32 {address = 122376 : ui32, column = 3 : i32, mask = 2 : ui32, row = 3 : i32, value = 2 : ui32}
      aiex.npu.maskwrite32 {address = 122384 : ui32, column = 3 : i32, mask = 2 : ui32, row = 3 : i32, value = 2 : ui32}
      aiex.npu.maskwrite32 {address = 122368 : ui32, column = 3 : i32, mask = 2 : ui32, row = 4 : i32, value = 2 : ui32}
      aiex.npu.maskwrite32 {address = 122376 : ui32, column = 3 : i32, mask = 2 : ui32, row = 4 : i32, value = 2 : ui32}
      aiex.npu.maskwrite32 {address = 122384 : ui32, column = 3 : i32, mask = 2 : ui32, row = 4 : i32, value = 2 : ui32}
      aiex.npu.maskwrite32 {address = 122368 : ui32, column = 3 : i32, mask = 2 : ui32, row = 5 : i32, value = 2 : ui32}
      aiex.npu.maskwrite32 {address = 122376 : ui32, column = 3 : i32, mask = 2 : ui32, row = 5 : i32, value = 2 : ui32}
      aiex.npu.maskwrite32 {address = 122384 : ui32, column = 3 : i32, mask = 2 : ui32, row = 5 : i32, value = 2 : ui32}
      aiex.npu.maskwrite32 {address = 656912 : ui32, column = 0 : i32, mask = 2 : ui32, row = 1 : i32, value = 0 : ui32}
      aiex.npu.maskwrite32 {address = 656928 : ui32, column = 0 : i32, mask = 2 : ui32, row = 1 : i32, value = 0 : ui32}
      aiex.npu.maskwrite32 {address = 656944 : ui32, column = 0 : i32, mask = 2 : ui32, row = 1 : i32, value = 0 : ui32}
      aiex.npu.maskwrite32 {address = 656952 : ui32, column = 0 : i32, mask = 2 : ui32, row = 1 : i32, value = 0 : ui32}
      aiex.npu.maskwrite32 {address = 656904 : ui32, column = 1 : i32, mask = 2 : ui32, row = 1 : i32, value = 0 : ui32}
      aiex.npu.maskwrite32 {address = 656912 : ui32, column = 1 : i32, mask = 2 : ui32, row = 1 : i32, value = 0 : ui32}
      aiex.npu.maskwrite32 {address = 656920 : ui32, column = 1 : i32, mask = 2 : ui32, row = 1 : i32, value = 0 : ui32}
      aiex.npu.maskwrite32 {address = 656928 : ui32, column = 1 : i32, mask = 2 : ui32, row = 1 : i32, value = 0 : ui32}
      aiex.npu.maskwrite32 {address = 656936 : ui32, column = 1 : i32, mask = 2 : ui32, row = 1 : i32, value = 0 : ui32}
      aiex.npu.maskwrite32 {address = 656944 : ui32, column = 1 : i32, mask = 2 : ui32, row = 1 : i32, value = 0 : ui32}
      aiex.npu.maskwrite32 {address = 656952 : ui32, column = 1 : i32, mask = 2 : ui32, row = 1 : i32, value = 0 : ui32}
      aiex.npu.maskwrite32 {address = 656968 : ui32, column = 1 : i32, mask = 2 : ui32, row = 1 : i32, value = 0 : ui32}
      aiex.npu.maskwrite32 {address = 656904 : ui32, column = 2 : i32, mask = 2 : ui32, row = 1 : i32, value = 0 : ui32}
      aiex.npu.maskwrite32 {address = 656912 : ui32, column = 2 : i32, mask = 2 : ui32, row = 1 : i32, value = 0 : ui32}
      aiex.npu.maskwrite32 {address = 656920 : ui32, column = 2 : i32, mask = 2 : ui32, row = 1 : i32, value = 0 : ui32}
      aiex.npu.maskwrite32 {address = 656928 : ui32, column = 2 : i32, mask = 2 : ui32, row = 1 : i32, value = 0 : ui32}
      aiex.npu.maskwrite32 {address = 656936 : ui32, column = 2 : i32, mask = 2 : ui32, row = 1 : i32, value = 0 : ui32}
      aiex.npu.maskwrite32 {address = 656944 : ui32, column = 2 : i32, mask = 2 : ui32, row = 1 : i32, value = 0 : ui32}
      aiex.npu.maskwrite32 {address = 656952 : ui32, column = 2 : i32, mask = 2 : ui32, row = 1 : i32, value = 0 : ui32}
      aiex.npu.maskwrite32 {address = 656968 : ui32, column = 2 : i32, mask = 2 : ui32, row = 1 : i32, value = 0 : ui32}
      aiex.npu.maskwrite32 {address = 656912 : ui32, column = 3 : i32, mask = 2 : ui32, row = 1 : i32, value = 0 : ui32}
      aiex.npu.maskwrite32 {address = 656928 : ui32, column = 3 : i32, mask = 2 : ui32, row = 1 : i32, value = 0 : ui32}
      aiex.npu.maskwrite32 {address = 656944 : ui32, column = 3 : i32, mask = 2 : ui32, row = 1 : i32, value = 0 : ui32}
      aiex.npu.maskwrite32 {address = 656952 : ui32, column = 3 : i32, mask = 2 : ui32, row = 1 : i32, value = 0 : ui32}
      aiex.npu.maskwrite32 {address = 122368 : ui32, column = 0 : i32, mask = 2 : ui32, row = 2 : i32, value = 0 : ui32}
      aiex.npu.maskwrite32 {address = 122376 : ui32, column = 0 : i32, mask = 2 : ui32, row = 2 : i32, value = 0 : ui32}
      aiex.npu.maskwrite32 {address = 122384 : ui32, column = 0 : i32, mask = 2 : ui32, row = 2 : i32, value = 0 : ui32}
      aiex.npu.maskwrite32 {address = 122368 : ui32, column = 0 : i32, mask = 2 : ui32, row = 3 : i32, value = 0 : ui32}
      aiex.npu.maskwrite32 {address = 122376 : ui32, column = 0 : i32, mask = 2 : ui32, row = 3 : i32, value = 0 : ui32}
      aiex.npu.maskwrite32 {address = 122384 : ui32, column = 0 : i32, mask = 2 : ui32, row = 3 : i32, value = 0 : ui32}
      aiex.npu.maskwrite32 {address = 122368 : ui32, column = 0 : i32, mask = 2 : ui32, row = 4 : i32, value = 0 : ui32}
      aiex.npu.maskwrite32 {address = 122376 : ui32, column = 0 : i32, mask = 2 : ui32, row = 4 : i32, value = 0 : ui32}
      aiex.npu.maskwrite32 {address = 122384 : ui32, column = 0 : i32, mask = 2 : ui32, row = 4 : i32, value = 0 : ui32}
      aiex.npu.maskwrite32 {address = 122368 : ui32, column = 0 : i32, mask = 2 : ui32, row = 5 : i32, value = 0 : ui32}
      aiex.npu.maskwrite32 {address = 122376 : ui32, column = 0 : i32, mask = 2 : ui32, row = 5 : i32, value = 0 : ui32}
      aiex.npu.maskwrite32 {address = 122384 : ui32, column = 0 : i32, mask = 2 : ui32, row = 5 : i32, value = 0 : ui32}
      aiex.npu.maskwrite32 {address = 122368 : ui32, column = 1 : i32, mask = 2 : ui32, row = 2 : i32, value = 0 : ui32}
      aiex.npu.maskwrite32 {address = 122376 : ui32, column = 1 : i32, mask = 2 : ui32, row = 2 : i32, value = 0 : ui32}
      aiex.npu.maskwrite32 {address = 122384 : ui32, column = 1 : i32, mask = 2 : ui32, row = 2 : i32, value = 0 : ui32}
      aiex.npu.maskwrite32 {address = 122368 : ui32, column = 1 : i32, mask = 2 : ui32, row = 3 : i32, value = 0 : ui32}
      aiex.npu.maskwrite32 {address = 122376 : ui32, column = 1 : i32, mask = 2 : ui32, row = 3 : i32, value = 0 : ui32}
      aiex.npu.maskwrite32 {address = 122384 : ui32, column = 1 : i32, mask = 2 : ui32, row = 3 : i32, value = 0 : ui32}
      aiex.npu.maskwrite32 {address = 122368 : ui32, column = 1 : i32, mask = 2 : ui32, row = 4 : i32, value = 0 : ui32}
      aiex.npu.maskwrite32 {address = 122376 : ui32, column = 1 : i32, mask = 2 : ui32, row = 4 : i32, value = 0 : ui32}
      aiex.npu.maskwrite32 {address = 122384 : ui32, column = 1 : i32, mask = 2 : ui32, row = 4 : i32, value = 0 : ui32}
      aiex.npu.maskwrite32 {address = 122368 : ui32, column = 1 : i32, mask = 2 : ui32, row = 5 : i32, value = 0 : ui32}
      aiex.npu.maskwrite32 {address = 122376 : ui32, column = 1 : i32, mask = 2 : ui32, row = 5 : i32, value = 0 : ui32}
      aiex.npu.maskwrite32 {address = 122384 : ui32, column = 1 : i32, mask = 2 : ui32, row = 5 : i32, value = 0 : ui32}
      aiex.npu.maskwrite32 {address = 122368 : ui32, column = 2 : i32, mask = 2 : ui32, row = 2 : i32, value = 0 : ui32}
      aiex.npu.maskwrite32 {address = 122376 : ui32, column = 2 : i32, mask = 2 : ui32, row = 2 : i32, value = 0 : ui32}
      aiex.npu.maskwrite32 {address = 122384 : ui32, column = 2 : i32, mask = 2 : ui32, row = 2 : i32, value = 0 : ui32}
      aiex.npu.maskwrite32 {address = 122368 : ui32, column = 2 : i32, mask = 2 : ui32, row = 3 : i32, value = 0 : ui32}
      aiex.npu.maskwrite32 {address = 122376 : ui32, column = 2 : i32, mask = 2 : ui32, row = 3 : i32, value = 0 : ui32}
      aiex.npu.maskwrite32 {address = 122384 : ui32, column = 2 : i32, mask = 2 : ui32, row = 3 : i32, value = 0 : ui32}
      aiex.npu.maskwrite32 {address = 122368 : ui32, column = 2 : i32, mask = 2 : ui32, row = 4 : i32, value = 0 : ui32}
      aiex.npu.maskwrite32 {address = 122376 : ui32, column = 2 : i32, mask = 2 : ui32, row = 4 : i32, value = 0 : ui32}
      aiex.npu.maskwrite32 {address = 122384 : ui32, column = 2 : i32, mask = 2 : ui32, row = 4 : i32, value = 0 : ui32}
      aiex.npu.maskwrite32 {address = 122368 : ui32, column = 2 : i32, mask = 2 : ui32, row = 5 : i32, value = 0 : ui32}
      aiex.npu.maskwrite32 {address = 122376 : ui32, column = 2 : i32, mask = 2 : ui32, row = 5 : i32, value = 0 : ui32}
      aiex.npu.maskwrite32 {address = 122384 : ui32, column = 2 : i32, mask = 2 : ui32, row = 5 : i32, value = 0 : ui32}
      aiex.npu.maskwrite32 {address = 122368 : ui32, column = 3 : i32, mask = 2 : ui32, row = 2 : i32, value = 0 : ui32}
      aiex.npu.maskwrite32 {address = 122376 : ui32, column = 3 : i32, mask = 2 : ui32, row = 2 : i32, value = 0 : ui32}
      aiex.npu.maskwrite32 {address = 122384 : ui32, column = 3 : i32, mask = 2 : ui32, row = 2 : i32, value = 0 : ui32}
      aiex.npu.maskwrite32 {address = 122368 : ui32, column = 3 : i32, mask = 2 : ui32, row = 3 : i32, value = 0 : ui32}
      aiex.npu.maskwrite32 {address = 122376 : ui32, column = 3 : i32, mask = 2 : ui32, row = 3 : i32, value = 0 : ui32}
      aiex.npu.maskwrite32 {address = 122384 : ui32, column = 3 : i32, mask = 2 : ui32, row = 3 : i32, value = 0 : ui32}
      aiex.npu.maskwrite32 {address = 122368 : ui32, column = 3 : i32, mask = 2 : ui32, row = 4 : i32, value = 0 : ui32}
      aiex.npu.maskwrite32 {address = 122376 : ui32, column = 3 : i32, mask = 2 : ui32, row = 4 : i32, value = 0 : ui32}
      aiex.npu.maskwrite32 {address = 122384 : ui32, column = 3 : i32, mask = 2 : ui32, row = 4 : i32, value = 0 : ui32}
      aiex.npu.maskwrite32 {address = 122368 : ui32, column = 3 : i32, mask = 2 : ui32, row = 5 : i32, value = 0 : ui32}
      aiex.npu.maskwrite32 {address = 122376 : ui32, column = 3 : i32, mask = 2 : ui32, row = 5 : i32, value = 0 : ui32}
      aiex.npu.maskwrite32 {address = 122384 : ui32, column = 3 : i32, mask = 2 : ui32, row = 5 : i32, value = 0 : ui32}
      // locks
      aiex.npu.write32 {address = 786432 : ui32, column = 0 : i32, row = 1 : i32, value = 62 : ui32}
      aiex.npu.write32 {address = 786448 : ui32, column = 0 : i32, row = 1 : i32, value = 0 : ui32}
      aiex.npu.write32 {address = 786464 : ui32, column = 0 : i32, row = 1 : i32, value = 0 : ui32}
      aiex.npu.write32 {address = 786512 : ui32, column = 0 : i32, row = 1 : i32, value = 0 : ui32}
      aiex.npu.write32 {address = 786528 : ui32, column = 0 : i32, row = 1 : i32, value = 0 : ui32}
      aiex.npu.write32 {address = 786432 : ui32, column = 1 : i32, row = 1 : i32, value = 62 : ui32}
      aiex.npu.write32 {address = 786448 : ui32, column = 1 : i32, row = 1 : i32, value = 0 : ui32}
      aiex.npu.write32 {address = 786464 : ui32, column = 1 : i32, row = 1 : i32, value = 0 : ui32}
      aiex.npu.write32 {address = 786480 : ui32, column = 1 : i32, row = 1 : i32, value = 0 : ui32}
      aiex.npu.write32 {address = 786512 : ui32, column = 1 : i32, row = 1 : i32, value = 0 : ui32}
      aiex.npu.write32 {address = 786528 : ui32, column = 1 : i32, row = 1 : i32, value = 0 : ui32}
      aiex.npu.write32 {address = 786544 : ui32, column = 1 : i32, row = 1 : i32, value = 0 : ui32}
      aiex.npu.write32 {address = 786560 : ui32, column = 1 : i32, row = 1 : i32, value = 0 : ui32}
      aiex.npu.write32 {address = 786432 : ui32, column = 2 : i32, row = 1 : i32, value = 62 : ui32}
      aiex.npu.write32 {address = 786448 : ui32, column = 2 : i32, row = 1 : i32, value = 0 : ui32}
      aiex.npu.write32 {address = 786464 : ui32, column = 2 : i32, row = 1 : i32, value = 0 : ui32}
      aiex.npu.write32 {address = 786480 : ui32, column = 2 : i32, row = 1 : i32, value = 0 : ui32}
      aiex.npu.write32 {address = 786512 : ui32, column = 2 : i32, row = 1 : i32, value = 0 : ui32}
      aiex.npu.write32 {address = 786528 : ui32, column = 2 : i32, row = 1 : i32, value = 0 : ui32}
      aiex.npu.write32 {address = 786544 : ui32, column = 2 : i32, row = 1 : i32, value = 0 : ui32}
      aiex.npu.write32 {address = 786560 : ui32, column = 2 : i32, row = 1 : i32, value = 0 : ui32}
      aiex.npu.write32 {address = 786432 : ui32, column = 3 : i32, row = 1 : i32, value = 62 : ui32}
      aiex.npu.write32 {address = 786448 : ui32, column = 3 : i32, row = 1 : i32, value = 0 : ui32}
      aiex.npu.write32 {address = 786480 : ui32, column = 3 : i32, row = 1 : i32, value = 0 : ui32}
      aiex.npu.write32 {address = 786512 : ui32, column = 3 : i32, row = 1 : i32, value = 0 : ui32}
      aiex.npu.write32 {address = 786528 : ui32, column = 3 : i32, row = 1 : i32, value = 0 : ui32}
      aiex.npu.write32 {address = 126976 : ui32, column = 0 : i32, row = 2 : i32, value = 36 : ui32}
      aiex.npu.write32 {address = 126992 : ui32, column = 0 : i32, row = 2 : i32, value = 0 : ui32}
      aiex.npu.write32 {address = 127008 : ui32, column = 0 : i32, row = 2 : i32, value = 24 : ui32}
      aiex.npu.write32 {address = 127024 : ui32, column = 0 : i32, row = 2 : i32, value = 0 : ui32}
      aiex.npu.write32 {address = 127040 : ui32, column = 0 : i32, row = 2 : i32, value = 56 : ui32}
      aiex.npu.write32 {address = 127056 : ui32, column = 0 : i32, row = 2 : i32, value = 0 : ui32}
      aiex.npu.write32 {address = 126976 : ui32, column = 0 : i32, row = 3 : i32, value = 36 : ui32}
      aiex.npu.write32 {address = 126992 : ui32, column = 0 : i32, row = 3 : i32, value = 0 : ui32}
      aiex.npu.write32 {address = 127008 : ui32, column = 0 : i32, row = 3 : i32, value = 24 : ui32}
      aiex.npu.write32 {address = 127024 : ui32, column = 0 : i32, row = 3 : i32, value = 0 : ui32}
      aiex.npu.write32 {address = 127040 : ui32, column = 0 : i32, row = 3 : i32, value = 56 : ui32}
      aiex.npu.write32 {address = 127056 : ui32, column = 0 : i32, row = 3 : i32, value = 0 : ui32}
      aiex.npu.write32 {address = 126976 : ui32, column = 0 : i32, row = 4 : i32, value = 36 : ui32}
      aiex.npu.write32 {address = 126992 : ui32, column = 0 : i32, row = 4 : i32, value = 0 : ui32}
      aiex.npu.write32 {address = 127008 : ui32, column = 0 : i32, row = 4 : i32, value = 24 : ui32}
      aiex.npu.write32 {address = 127024 : ui32, column = 0 : i32, row = 4 : i32, value = 0 : ui32}
      aiex.npu.write32 {address = 127040 : ui32, column = 0 : i32, row = 4 : i32, value = 56 : ui32}
      aiex.npu.write32 {address = 127056 : ui32, column = 0 : i32, row = 4 : i32, value = 0 : ui32}
      aiex.npu.write32 {address = 126976 : ui32, column = 0 : i32, row = 5 : i32, value = 36 : ui32}
      aiex.npu.write32 {address = 126992 : ui32, column = 0 : i32, row = 5 : i32, value = 0 : ui32}
      aiex.npu.write32 {address = 127008 : ui32, column = 0 : i32, row = 5 : i32, value = 24 : ui32}
      aiex.npu.write32 {address = 127024 : ui32, column = 0 : i32, row = 5 : i32, value = 0 : ui32}
      aiex.npu.write32 {address = 127040 : ui32, column = 0 : i32, row = 5 : i32, value = 56 : ui32}
      aiex.npu.write32 {address = 127056 : ui32, column = 0 : i32, row = 5 : i32, value = 0 : ui32}
      aiex.npu.write32 {address = 126976 : ui32, column = 1 : i32, row = 2 : i32, value = 36 : ui32}
      aiex.npu.write32 {address = 126992 : ui32, column = 1 : i32, row = 2 : i32, value = 0 : ui32}
      aiex.npu.write32 {address = 127008 : ui32, column = 1 : i32, row = 2 : i32, value = 24 : ui32}
      aiex.npu.write32 {address = 127024 : ui32, column = 1 : i32, row = 2 : i32, value = 0 : ui32}
      aiex.npu.write32 {address = 127040 : ui32, column = 1 : i32, row = 2 : i32, value = 56 : ui32}
      aiex.npu.write32 {address = 127056 : ui32, column = 1 : i32, row = 2 : i32, value = 0 : ui32}
      aiex.npu.write32 {address = 126976 : ui32, column = 1 : i32, row = 3 : i32, value = 36 : ui32}
      aiex.npu.write32 {address = 126992 : ui32, column = 1 : i32, row = 3 : i32, value = 0 : ui32}
      aiex.npu.write32 {address = 127008 : ui32, column = 1 : i32, row = 3 : i32, value = 24 : ui32}
      aiex.npu.write32 {address = 127024 : ui32, column = 1 : i32, row = 3 : i32, value = 0 : ui32}
      aiex.npu.write32 {address = 127040 : ui32, column = 1 : i32, row = 3 : i32, value = 56 : ui32}
      aiex.npu.write32 {address = 127056 : ui32, column = 1 : i32, row = 3 : i32, value = 0 : ui32}
      aiex.npu.write32 {address = 126976 : ui32, column = 1 : i32, row = 4 : i32, value = 36 : ui32}
      aiex.npu.write32 {address = 126992 : ui32, column = 1 : i32, row = 4 : i32, value = 0 : ui32}
      aiex.npu.write32 {address = 127008 : ui32, column = 1 : i32, row = 4 : i32, value = 24 : ui32}
      aiex.npu.write32 {address = 127024 : ui32, column = 1 : i32, row = 4 : i32, value = 0 : ui32}
      aiex.npu.write32 {address = 127040 : ui32, column = 1 : i32, row = 4 : i32, value = 56 : ui32}
      aiex.npu.write32 {address = 127056 : ui32, column = 1 : i32, row = 4 : i32, value = 0 : ui32}
      aiex.npu.write32 {address = 126976 : ui32, column = 1 : i32, row = 5 : i32, value = 36 : ui32}
      aiex.npu.write32 {address = 126992 : ui32, column = 1 : i32, row = 5 : i32, value = 0 : ui32}
      aiex.npu.write32 {address = 127008 : ui32, column = 1 : i32, row = 5 : i32, value = 24 : ui32}
      aiex.npu.write32 {address = 127024 : ui32, column = 1 : i32, row = 5 : i32, value = 0 : ui32}
      aiex.npu.write32 {address = 127040 : ui32, column = 1 : i32, row = 5 : i32, value = 56 : ui32}
      aiex.npu.write32 {address = 127056 : ui32, column = 1 : i32, row = 5 : i32, value = 0 : ui32}
      aiex.npu.write32 {address = 126976 : ui32, column = 2 : i32, row = 2 : i32, value = 36 : ui32}
      aiex.npu.write32 {address = 126992 : ui32, column = 2 : i32, row = 2 : i32, value = 0 : ui32}
      aiex.npu.write32 {address = 127008 : ui32, column = 2 : i32, row = 2 : i32, value = 24 : ui32}
      aiex.npu.write32 {address = 127024 : ui32, column = 2 : i32, row = 2 : i32, value = 0 : ui32}
      aiex.npu.write32 {address = 127040 : ui32, column = 2 : i32, row = 2 : i32, value = 56 : ui32}
      aiex.npu.write32 {address = 127056 : ui32, column = 2 : i32, row = 2 : i32, value = 0 : ui32}
      aiex.npu.write32 {address = 126976 : ui32, column = 2 : i32, row = 3 : i32, value = 36 : ui32}
      aiex.npu.write32 {address = 126992 : ui32, column = 2 : i32, row = 3 : i32, value = 0 : ui32}
      aiex.npu.write32 {address = 127008 : ui32, column = 2 : i32, row = 3 : i32, value = 24 : ui32}
      aiex.npu.write32 {address = 127024 : ui32, column = 2 : i32, row = 3 : i32, value = 0 : ui32}
      aiex.npu.write32 {address = 127040 : ui32, column = 2 : i32, row = 3 : i32, value = 56 : ui32}
      aiex.npu.write32 {address = 127056 : ui32, column = 2 : i32, row = 3 : i32, value = 0 : ui32}
      aiex.npu.write32 {address = 126976 : ui32, column = 2 : i32, row = 4 : i32, value = 36 : ui32}
      aiex.npu.write32 {address = 126992 : ui32, column = 2 : i32, row = 4 : i32, value = 0 : ui32}
      aiex.npu.write32 {address = 127008 : ui32, column = 2 : i32, row = 4 : i32, value = 24 : ui32}
      aiex.npu.write32 {address = 127024 : ui32, column = 2 : i32, row = 4 : i32, value = 0 : ui32}
      aiex.npu.write32 {address = 127040 : ui32, column = 2 : i32, row = 4 : i32, value = 56 : ui32}
      aiex.npu.write32 {address = 127056 : ui32, column = 2 : i32, row = 4 : i32, value = 0 : ui32}
      aiex.npu.write32 {address = 126976 : ui32, column = 2 : i32, row = 5 : i32, value = 36 : ui32}
      aiex.npu.write32 {address = 126992 : ui32, column = 2 : i32, row = 5 : i32, value = 0 : ui32}
      aiex.npu.write32 {address = 127008 : ui32, column = 2 : i32, row = 5 : i32, value = 24 : ui32}
      aiex.npu.write32 {address = 127024 : ui32, column = 2 : i32, row = 5 : i32, value = 0 : ui32}
      aiex.npu.write32 {address = 127040 : ui32, column = 2 : i32, row = 5 : i32, value = 56 : ui32}
      aiex.npu.write32 {address = 127056 : ui32, column = 2 : i32, row = 5 : i32, value = 0 : ui32}
      aiex.npu.write32 {address = 126976 : ui32, column = 3 : i32, row = 2 : i32, value = 36 : ui32}
      aiex.npu.write32 {address = 126992 : ui32, column = 3 : i32, row = 2 : i32, value = 0 : ui32}
      aiex.npu.write32 {address = 127008 : ui32, column = 3 : i32, row = 2 : i32, value = 24 : ui32}
      aiex.npu.write32 {address = 127024 : ui32, column = 3 : i32, row = 2 : i32, value = 0 : ui32}
      aiex.npu.write32 {address = 127040 : ui32, column = 3 : i32, row = 2 : i32, value = 56 : ui32}
      aiex.npu.write32 {address = 127056 : ui32, column = 3 : i32, row = 2 : i32, value = 0 : ui32}
      aiex.npu.write32 {address = 126976 : ui32, column = 3 : i32, row = 3 : i32, value = 36 : ui32}
      aiex.npu.write32 {address = 126992 : ui32, column = 3 : i32, row = 3 : i32, value = 0 : ui32}
      aiex.npu.write32 {address = 127008 : ui32, column = 3 : i32, row = 3 : i32, value = 24 : ui32}
      aiex.npu.write32 {address = 127024 : ui32, column = 3 : i32, row = 3 : i32, value = 0 : ui32}
      aiex.npu.write32 {address = 127040 : ui32, column = 3 : i32, row = 3 : i32, value = 56 : ui32}
      aiex.npu.write32 {address = 127056 : ui32, column = 3 : i32, row = 3 : i32, value = 0 : ui32}
      aiex.npu.write32 {address = 126976 : ui32, column = 3 : i32, row = 4 : i32, value = 36 : ui32}
      aiex.npu.write32 {address = 126992 : ui32, column = 3 : i32, row = 4 : i32, value = 0 : ui32}
      aiex.npu.write32 {address = 127008 : ui32, column = 3 : i32, row = 4 : i32, value = 24 : ui32}
      aiex.npu.write32 {address = 127024 : ui32, column = 3 : i32, row = 4 : i32, value = 0 : ui32}
      aiex.npu.write32 {address = 127040 : ui32, column = 3 : i32, row = 4 : i32, value = 56 : ui32}
      aiex.npu.write32 {address = 127056 : ui32, column = 3 : i32, row = 4 : i32, value = 0 : ui32}
      aiex.npu.write32 {address = 126976 : ui32, column = 3 : i32, row = 5 : i32, value = 36 : ui32}
      aiex.npu.write32 {address = 126992 : ui32, column = 3 : i32, row = 5 : i32, value = 0 : ui32}
      aiex.npu.write32 {address = 127008 : ui32, column = 3 : i32, row = 5 : i32, value = 24 : ui32}
      aiex.npu.write32 {address = 127024 : ui32, column = 3 : i32, row = 5 : i32, value = 0 : ui32}
      aiex.npu.write32 {address = 127040 : ui32, column = 3 : i32, row = 5 : i32, value = 56 : ui32}
      aiex.npu.write32 {address = 127056 : ui32, column = 3 : i32, row = 5 : i32, value = 0 : ui32}
      // packet ids of task-complete tokens
      aiex.npu.maskwrite32 {address = 119296 : ui32, column = 1 : i32, mask = 7936 : ui32, row = 0 : i32, value = 3840 : ui32}
      aiex.npu.maskwrite32 {address = 119296 : ui32, column = 2 : i32, mask = 7936 : ui32, row = 0 : i32, value = 3840 : ui32}
      aiex.npu.maskwrite32 {address = 656944 : ui32, column = 0 : i32, mask = 7936 : ui32, row = 1 : i32, value = 6656 : ui32}
      aiex.npu.maskwrite32 {address = 656904 : ui32, column = 1 : i32, mask = 7936 : ui32, row = 1 : i32, value = 6656 : ui32}
      aiex.npu.maskwrite32 {address = 656920 : ui32, column = 1 : i32, mask = 7936 : ui32, row = 1 : i32, value = 6656 : ui32}
      aiex.npu.maskwrite32 {address = 656944 : ui32, column = 1 : i32, mask = 7936 : ui32, row = 1 : i32, value = 6656 : ui32}
      aiex.npu.maskwrite32 {address = 656904 : ui32, column = 2 : i32, mask = 7936 : ui32, row = 1 : i32, value = 6656 : ui32}
      aiex.npu.maskwrite32 {address = 656920 : ui32, column = 2 : i32, mask = 7936 : ui32, row = 1 : i32, value = 6656 : ui32}
      aiex.npu.maskwrite32 {address = 656944 : ui32, column = 2 : i32, mask = 7936 : ui32, row = 1 : i32, value = 6656 : ui32}
      aiex.npu.maskwrite32 {address = 656944 : ui32, column = 3 : i32, mask = 7936 : ui32, row = 1 : i32, value = 6656 : ui32}
      // rings: an iterated descriptor, next to itself, or a chain; first descriptors of other channels
      aiex.npu.writebd {column = 0 : i32, row = 0 : i32, bd_id = 0 : i32, buffer_length = 2048 : i32, buffer_offset = 0 : i32, d0_size = 0 : i32, d0_stride = 0 : i32, d1_size = 0 : i32, d1_stride = 0 : i32, d2_size = 0 : i32, d2_stride = 0 : i32, iteration_current = 0 : i32, iteration_size = 0 : i32, iteration_stride = 0 : i32, use_next_bd = 1 : i32, next_bd = 0 : i32, lock_acq_enable = 0 : i32, lock_acq_id = 0 : i32, lock_acq_val = 0 : i32, lock_rel_id = 0 : i32, lock_rel_val = 0 : i32, d0_zero_before = 0 : i32, d0_zero_after = 0 : i32, d1_zero_before = 0 : i32, d1_zero_after = 0 : i32, d2_zero_before = 0 : i32, d2_zero_after = 0 : i32, enable_packet = 0 : i32, packet_id = 0 : i32, packet_type = 0 : i32, out_of_order_id = 0 : i32, valid_bd = 1 : i32}
      aiex.npu.address_patch {addr = 118788 : ui32, arg_idx = 0 : i32, arg_plus = 16384 : i32}
      aiex.npu.writebd {column = 1 : i32, row = 0 : i32, bd_id = 0 : i32, buffer_length = 2048 : i32, buffer_offset = 0 : i32, d0_size = 0 : i32, d0_stride = 0 : i32, d1_size = 0 : i32, d1_stride = 0 : i32, d2_size = 0 : i32, d2_stride = 0 : i32, iteration_current = 0 : i32, iteration_size = 0 : i32, iteration_stride = 0 : i32, use_next_bd = 1 : i32, next_bd = 0 : i32, lock_acq_enable = 0 : i32, lock_acq_id = 0 : i32, lock_acq_val = 0 : i32, lock_rel_id = 0 : i32, lock_rel_val = 0 : i32, d0_zero_before = 0 : i32, d0_zero_after = 0 : i32, d1_zero_before = 0 : i32, d1_zero_after = 0 : i32, d2_zero_before = 0 : i32, d2_zero_after = 0 : i32, enable_packet = 0 : i32, packet_id = 0 : i32, packet_type = 0 : i32, out_of_order_id = 0 : i32, valid_bd = 1 : i32}
      aiex.npu.address_patch {addr = 33673220 : ui32, arg_idx = 0 : i32, arg_plus = 24576 : i32}
      aiex.npu.writebd {column = 2 : i32, row = 0 : i32, bd_id = 0 : i32, buffer_length = 2048 : i32, buffer_offset = 0 : i32, d0_size = 0 : i32, d0_stride = 0 : i32, d1_size = 0 : i32, d1_stride = 0 : i32, d2_size = 0 : i32, d2_stride = 0 : i32, iteration_current = 0 : i32, iteration_size = 0 : i32, iteration_stride = 0 : i32, use_next_bd = 1 : i32, next_bd = 0 : i32, lock_acq_enable = 0 : i32, lock_acq_id = 0 : i32, lock_acq_val = 0 : i32, lock_rel_id = 0 : i32, lock_rel_val = 0 : i32, d0_zero_before = 0 : i32, d0_zero_after = 0 : i32, d1_zero_before = 0 : i32, d1_zero_after = 0 : i32, d2_zero_before = 0 : i32, d2_zero_after = 0 : i32, enable_packet = 0 : i32, packet_id = 0 : i32, packet_type = 0 : i32, out_of_order_id = 0 : i32, valid_bd = 1 : i32}
      aiex.npu.address_patch {addr = 67227652 : ui32, arg_idx = 0 : i32, arg_plus = 32768 : i32}
      aiex.npu.writebd {column = 3 : i32, row = 0 : i32, bd_id = 0 : i32, buffer_length = 2048 : i32, buffer_offset = 0 : i32, d0_size = 0 : i32, d0_stride = 0 : i32, d1_size = 0 : i32, d1_stride = 0 : i32, d2_size = 0 : i32, d2_stride = 0 : i32, iteration_current = 0 : i32, iteration_size = 0 : i32, iteration_stride = 0 : i32, use_next_bd = 1 : i32, next_bd = 0 : i32, lock_acq_enable = 0 : i32, lock_acq_id = 0 : i32, lock_acq_val = 0 : i32, lock_rel_id = 0 : i32, lock_rel_val = 0 : i32, d0_zero_before = 0 : i32, d0_zero_after = 0 : i32, d1_zero_before = 0 : i32, d1_zero_after = 0 : i32, d2_zero_before = 0 : i32, d2_zero_after = 0 : i32, enable_packet = 0 : i32, packet_id = 0 : i32, packet_type = 0 : i32, out_of_order_id = 0 : i32, valid_bd = 1 : i32}
      aiex.npu.address_patch {addr = 100782084 : ui32, arg_idx = 0 : i32, arg_plus = 40960 : i32}
      aiex.npu.writebd {column = 0 : i32, row = 1 : i32, bd_id = 0 : i32, buffer_length = 1024 : i32, buffer_offset = 258048 : i32, d0_size = 0 : i32, d0_stride = 0 : i32, d1_size = 0 : i32, d1_stride = 0 : i32, d2_size = 0 : i32, d2_stride = 0 : i32, iteration_current = 0 : i32, iteration_size = 0 : i32, iteration_stride = 0 : i32, use_next_bd = 1 : i32, next_bd = 0 : i32, lock_acq_enable = 1 : i32, lock_acq_id = 69 : i32, lock_acq_val = -1 : i32, lock_rel_id = 70 : i32, lock_rel_val = 1 : i32, d0_zero_before = 0 : i32, d0_zero_after = 0 : i32, d1_zero_before = 0 : i32, d1_zero_after = 0 : i32, d2_zero_before = 0 : i32, d2_zero_after = 0 : i32, enable_packet = 0 : i32, packet_id = 0 : i32, packet_type = 0 : i32, out_of_order_id = 0 : i32, valid_bd = 1 : i32}
      aiex.npu.writebd {column = 1 : i32, row = 1 : i32, bd_id = 0 : i32, buffer_length = 1024 : i32, buffer_offset = 258048 : i32, d0_size = 0 : i32, d0_stride = 0 : i32, d1_size = 0 : i32, d1_stride = 0 : i32, d2_size = 0 : i32, d2_stride = 0 : i32, iteration_current = 0 : i32, iteration_size = 0 : i32, iteration_stride = 0 : i32, use_next_bd = 1 : i32, next_bd = 1 : i32, lock_acq_enable = 1 : i32, lock_acq_id = 69 : i32, lock_acq_val = -1 : i32, lock_rel_id = 70 : i32, lock_rel_val = 1 : i32, d0_zero_before = 0 : i32, d0_zero_after = 0 : i32, d1_zero_before = 0 : i32, d1_zero_after = 0 : i32, d2_zero_before = 0 : i32, d2_zero_after = 0 : i32, enable_packet = 0 : i32, packet_id = 0 : i32, packet_type = 0 : i32, out_of_order_id = 0 : i32, valid_bd = 1 : i32}
      aiex.npu.writebd {column = 1 : i32, row = 1 : i32, bd_id = 1 : i32, buffer_length = 240 : i32, buffer_offset = 261488 : i32, d0_size = 0 : i32, d0_stride = 0 : i32, d1_size = 0 : i32, d1_stride = 0 : i32, d2_size = 0 : i32, d2_stride = 0 : i32, iteration_current = 0 : i32, iteration_size = 0 : i32, iteration_stride = 0 : i32, use_next_bd = 1 : i32, next_bd = 2 : i32, lock_acq_enable = 1 : i32, lock_acq_id = 69 : i32, lock_acq_val = -1 : i32, lock_rel_id = 70 : i32, lock_rel_val = 1 : i32, d0_zero_before = 0 : i32, d0_zero_after = 0 : i32, d1_zero_before = 0 : i32, d1_zero_after = 0 : i32, d2_zero_before = 0 : i32, d2_zero_after = 0 : i32, enable_packet = 0 : i32, packet_id = 0 : i32, packet_type = 0 : i32, out_of_order_id = 0 : i32, valid_bd = 1 : i32}
      aiex.npu.writebd {column = 1 : i32, row = 1 : i32, bd_id = 2 : i32, buffer_length = 200 : i32, buffer_offset = 261728 : i32, d0_size = 0 : i32, d0_stride = 0 : i32, d1_size = 0 : i32, d1_stride = 0 : i32, d2_size = 0 : i32, d2_stride = 0 : i32, iteration_current = 0 : i32, iteration_size = 0 : i32, iteration_stride = 0 : i32, use_next_bd = 1 : i32, next_bd = 0 : i32, lock_acq_enable = 1 : i32, lock_acq_id = 69 : i32, lock_acq_val = -1 : i32, lock_rel_id = 70 : i32, lock_rel_val = 1 : i32, d0_zero_before = 0 : i32, d0_zero_after = 0 : i32, d1_zero_before = 0 : i32, d1_zero_after = 0 : i32, d2_zero_before = 0 : i32, d2_zero_after = 0 : i32, enable_packet = 0 : i32, packet_id = 0 : i32, packet_type = 0 : i32, out_of_order_id = 0 : i32, valid_bd = 1 : i32}
      aiex.npu.writebd {column = 2 : i32, row = 1 : i32, bd_id = 0 : i32, buffer_length = 1024 : i32, buffer_offset = 258048 : i32, d0_size = 0 : i32, d0_stride = 0 : i32, d1_size = 0 : i32, d1_stride = 0 : i32, d2_size = 0 : i32, d2_stride = 0 : i32, iteration_current = 0 : i32, iteration_size = 0 : i32, iteration_stride = 0 : i32, use_next_bd = 1 : i32, next_bd = 1 : i32, lock_acq_enable = 1 : i32, lock_acq_id = 69 : i32, lock_acq_val = -1 : i32, lock_rel_id = 70 : i32, lock_rel_val = 1 : i32, d0_zero_before = 0 : i32, d0_zero_after = 0 : i32, d1_zero_before = 0 : i32, d1_zero_after = 0 : i32, d2_zero_before = 0 : i32, d2_zero_after = 0 : i32, enable_packet = 0 : i32, packet_id = 0 : i32, packet_type = 0 : i32, out_of_order_id = 0 : i32, valid_bd = 1 : i32}
      aiex.npu.writebd {column = 2 : i32, row = 1 : i32, bd_id = 1 : i32, buffer_length = 160 : i32, buffer_offset = 261488 : i32, d0_size = 0 : i32, d0_stride = 0 : i32, d1_size = 0 : i32, d1_stride = 0 : i32, d2_size = 0 : i32, d2_stride = 0 : i32, iteration_current = 0 : i32, iteration_size = 0 : i32, iteration_stride = 0 : i32, use_next_bd = 1 : i32, next_bd = 2 : i32, lock_acq_enable = 1 : i32, lock_acq_id = 69 : i32, lock_acq_val = -1 : i32, lock_rel_id = 70 : i32, lock_rel_val = 1 : i32, d0_zero_before = 0 : i32, d0_zero_after = 0 : i32, d1_zero_before = 0 : i32, d1_zero_after = 0 : i32, d2_zero_before = 0 : i32, d2_zero_after = 0 : i32, enable_packet = 0 : i32, packet_id = 0 : i32, packet_type = 0 : i32, out_of_order_id = 0 : i32, valid_bd = 1 : i32}
      aiex.npu.writebd {column = 2 : i32, row = 1 : i32, bd_id = 2 : i32, buffer_length = 200 : i32, buffer_offset = 261728 : i32, d0_size = 0 : i32, d0_stride = 0 : i32, d1_size = 0 : i32, d1_stride = 0 : i32, d2_size = 0 : i32, d2_stride = 0 : i32, iteration_current = 0 : i32, iteration_size = 0 : i32, iteration_stride = 0 : i32, use_next_bd = 1 : i32, next_bd = 0 : i32, lock_acq_enable = 1 : i32, lock_acq_id = 69 : i32, lock_acq_val = -1 : i32, lock_rel_id = 70 : i32, lock_rel_val = 1 : i32, d0_zero_before = 0 : i32, d0_zero_after = 0 : i32, d1_zero_before = 0 : i32, d1_zero_after = 0 : i32, d2_zero_before = 0 : i32, d2_zero_after = 0 : i32, enable_packet = 0 : i32, packet_id = 0 : i32, packet_type = 0 : i32, out_of_order_id = 0 : i32, valid_bd = 1 : i32}
      aiex.npu.writebd {column = 3 : i32, row = 1 : i32, bd_id = 0 : i32, buffer_length = 1024 : i32, buffer_offset = 258048 : i32, d0_size = 0 : i32, d0_stride = 0 : i32, d1_size = 0 : i32, d1_stride = 0 : i32, d2_size = 0 : i32, d2_stride = 0 : i32, iteration_current = 0 : i32, iteration_size = 0 : i32, iteration_stride = 0 : i32, use_next_bd = 1 : i32, next_bd = 0 : i32, lock_acq_enable = 1 : i32, lock_acq_id = 69 : i32, lock_acq_val = -1 : i32, lock_rel_id = 70 : i32, lock_rel_val = 1 : i32, d0_zero_before = 0 : i32, d0_zero_after = 0 : i32, d1_zero_before = 0 : i32, d1_zero_after = 0 : i32, d2_zero_before = 0 : i32, d2_zero_after = 0 : i32, enable_packet = 0 : i32, packet_id = 0 : i32, packet_type = 0 : i32, out_of_order_id = 0 : i32, valid_bd = 1 : i32}
      aiex.npu.writebd {column = 1 : i32, row = 1 : i32, bd_id = 24 : i32, buffer_length = 120 : i32, buffer_offset = 261160 : i32, d0_size = 20 : i32, d0_stride = 0 : i32, d1_size = 6 : i32, d1_stride = 59 : i32, d2_size = 0 : i32, d2_stride = 0 : i32, iteration_current = 0 : i32, iteration_size = 0 : i32, iteration_stride = 0 : i32, use_next_bd = 1 : i32, next_bd = 25 : i32, lock_acq_enable = 0 : i32, lock_acq_id = 0 : i32, lock_acq_val = 0 : i32, lock_rel_id = 66 : i32, lock_rel_val = 1 : i32, d0_zero_before = 0 : i32, d0_zero_after = 0 : i32, d1_zero_before = 0 : i32, d1_zero_after = 0 : i32, d2_zero_before = 0 : i32, d2_zero_after = 0 : i32, enable_packet = 0 : i32, packet_id = 0 : i32, packet_type = 0 : i32, out_of_order_id = 0 : i32, valid_bd = 1 : i32}
      aiex.npu.writebd {column = 1 : i32, row = 1 : i32, bd_id = 25 : i32, buffer_length = 76 : i32, buffer_offset = 260096 : i32, d0_size = 0 : i32, d0_stride = 0 : i32, d1_size = 0 : i32, d1_stride = 0 : i32, d2_size = 0 : i32, d2_stride = 0 : i32, iteration_current = 0 : i32, iteration_size = 0 : i32, iteration_stride = 0 : i32, use_next_bd = 1 : i32, next_bd = 26 : i32, lock_acq_enable = 0 : i32, lock_acq_id = 0 : i32, lock_acq_val = 0 : i32, lock_rel_id = 0 : i32, lock_rel_val = 0 : i32, d0_zero_before = 0 : i32, d0_zero_after = 0 : i32, d1_zero_before = 0 : i32, d1_zero_after = 0 : i32, d2_zero_before = 0 : i32, d2_zero_after = 0 : i32, enable_packet = 0 : i32, packet_id = 0 : i32, packet_type = 0 : i32, out_of_order_id = 0 : i32, valid_bd = 1 : i32}
      aiex.npu.writebd {column = 1 : i32, row = 1 : i32, bd_id = 26 : i32, buffer_length = 1372 : i32, buffer_offset = 260096 : i32, d0_size = 196 : i32, d0_stride = 0 : i32, d1_size = 7 : i32, d1_stride = 0 : i32, d2_size = 0 : i32, d2_stride = 0 : i32, iteration_current = 0 : i32, iteration_size = 0 : i32, iteration_stride = 0 : i32, use_next_bd = 1 : i32, next_bd = 24 : i32, lock_acq_enable = 0 : i32, lock_acq_id = 0 : i32, lock_acq_val = 0 : i32, lock_rel_id = 0 : i32, lock_rel_val = 0 : i32, d0_zero_before = 0 : i32, d0_zero_after = 0 : i32, d1_zero_before = 0 : i32, d1_zero_after = 0 : i32, d2_zero_before = 0 : i32, d2_zero_after = 0 : i32, enable_packet = 0 : i32, packet_id = 0 : i32, packet_type = 0 : i32, out_of_order_id = 0 : i32, valid_bd = 1 : i32}
      aiex.npu.writebd {column = 2 : i32, row = 1 : i32, bd_id = 24 : i32, buffer_length = 120 : i32, buffer_offset = 261160 : i32, d0_size = 20 : i32, d0_stride = 0 : i32, d1_size = 6 : i32, d1_stride = 59 : i32, d2_size = 0 : i32, d2_stride = 0 : i32, iteration_current = 0 : i32, iteration_size = 0 : i32, iteration_stride = 0 : i32, use_next_bd = 1 : i32, next_bd = 25 : i32, lock_acq_enable = 0 : i32, lock_acq_id = 0 : i32, lock_acq_val = 0 : i32, lock_rel_id = 66 : i32, lock_rel_val = 1 : i32, d0_zero_before = 0 : i32, d0_zero_after = 0 : i32, d1_zero_before = 0 : i32, d1_zero_after = 0 : i32, d2_zero_before = 0 : i32, d2_zero_after = 0 : i32, enable_packet = 0 : i32, packet_id = 0 : i32, packet_type = 0 : i32, out_of_order_id = 0 : i32, valid_bd = 1 : i32}
      aiex.npu.writebd {column = 2 : i32, row = 1 : i32, bd_id = 25 : i32, buffer_length = 76 : i32, buffer_offset = 260096 : i32, d0_size = 0 : i32, d0_stride = 0 : i32, d1_size = 0 : i32, d1_stride = 0 : i32, d2_size = 0 : i32, d2_stride = 0 : i32, iteration_current = 0 : i32, iteration_size = 0 : i32, iteration_stride = 0 : i32, use_next_bd = 1 : i32, next_bd = 26 : i32, lock_acq_enable = 0 : i32, lock_acq_id = 0 : i32, lock_acq_val = 0 : i32, lock_rel_id = 0 : i32, lock_rel_val = 0 : i32, d0_zero_before = 0 : i32, d0_zero_after = 0 : i32, d1_zero_before = 0 : i32, d1_zero_after = 0 : i32, d2_zero_before = 0 : i32, d2_zero_after = 0 : i32, enable_packet = 0 : i32, packet_id = 0 : i32, packet_type = 0 : i32, out_of_order_id = 0 : i32, valid_bd = 1 : i32}
      aiex.npu.writebd {column = 2 : i32, row = 1 : i32, bd_id = 26 : i32, buffer_length = 1372 : i32, buffer_offset = 260096 : i32, d0_size = 196 : i32, d0_stride = 0 : i32, d1_size = 7 : i32, d1_stride = 0 : i32, d2_size = 0 : i32, d2_stride = 0 : i32, iteration_current = 0 : i32, iteration_size = 0 : i32, iteration_stride = 0 : i32, use_next_bd = 1 : i32, next_bd = 24 : i32, lock_acq_enable = 0 : i32, lock_acq_id = 0 : i32, lock_acq_val = 0 : i32, lock_rel_id = 0 : i32, lock_rel_val = 0 : i32, d0_zero_before = 0 : i32, d0_zero_after = 0 : i32, d1_zero_before = 0 : i32, d1_zero_after = 0 : i32, d2_zero_before = 0 : i32, d2_zero_after = 0 : i32, enable_packet = 0 : i32, packet_id = 0 : i32, packet_type = 0 : i32, out_of_order_id = 0 : i32, valid_bd = 1 : i32}
      aiex.npu.writebd {column = 1 : i32, row = 1 : i32, bd_id = 27 : i32, buffer_length = 200 : i32, buffer_offset = 261488 : i32, d0_size = 0 : i32, d0_stride = 0 : i32, d1_size = 0 : i32, d1_stride = 0 : i32, d2_size = 0 : i32, d2_stride = 0 : i32, iteration_current = 0 : i32, iteration_size = 0 : i32, iteration_stride = 0 : i32, use_next_bd = 1 : i32, next_bd = 27 : i32, lock_acq_enable = 1 : i32, lock_acq_id = 71 : i32, lock_acq_val = -1 : i32, lock_rel_id = 72 : i32, lock_rel_val = 1 : i32, d0_zero_before = 0 : i32, d0_zero_after = 0 : i32, d1_zero_before = 0 : i32, d1_zero_after = 0 : i32, d2_zero_before = 0 : i32, d2_zero_after = 0 : i32, enable_packet = 0 : i32, packet_id = 0 : i32, packet_type = 0 : i32, out_of_order_id = 0 : i32, valid_bd = 1 : i32}
      aiex.npu.writebd {column = 2 : i32, row = 1 : i32, bd_id = 27 : i32, buffer_length = 200 : i32, buffer_offset = 261488 : i32, d0_size = 0 : i32, d0_stride = 0 : i32, d1_size = 0 : i32, d1_stride = 0 : i32, d2_size = 0 : i32, d2_stride = 0 : i32, iteration_current = 0 : i32, iteration_size = 0 : i32, iteration_stride = 0 : i32, use_next_bd = 1 : i32, next_bd = 27 : i32, lock_acq_enable = 1 : i32, lock_acq_id = 71 : i32, lock_acq_val = -1 : i32, lock_rel_id = 72 : i32, lock_rel_val = 1 : i32, d0_zero_before = 0 : i32, d0_zero_after = 0 : i32, d1_zero_before = 0 : i32, d1_zero_after = 0 : i32, d2_zero_before = 0 : i32, d2_zero_after = 0 : i32, enable_packet = 0 : i32, packet_id = 0 : i32, packet_type = 0 : i32, out_of_order_id = 0 : i32, valid_bd = 1 : i32}
      aiex.npu.writebd {column = 0 : i32, row = 0 : i32, bd_id = 1 : i32, buffer_length = 1024 : i32, buffer_offset = 0 : i32, d0_size = 0 : i32, d0_stride = 0 : i32, d1_size = 0 : i32, d1_stride = 0 : i32, d2_size = 0 : i32, d2_stride = 0 : i32, iteration_current = 0 : i32, iteration_size = 0 : i32, iteration_stride = 0 : i32, use_next_bd = 0 : i32, next_bd = 0 : i32, lock_acq_enable = 0 : i32, lock_acq_id = 0 : i32, lock_acq_val = 0 : i32, lock_rel_id = 0 : i32, lock_rel_val = 0 : i32, d0_zero_before = 0 : i32, d0_zero_after = 0 : i32, d1_zero_before = 0 : i32, d1_zero_after = 0 : i32, d2_zero_before = 0 : i32, d2_zero_after = 0 : i32, enable_packet = 0 : i32, packet_id = 0 : i32, packet_type = 0 : i32, out_of_order_id = 0 : i32, valid_bd = 1 : i32}
      aiex.npu.address_patch {addr = 118820 : ui32, arg_idx = 0 : i32, arg_plus = 0 : i32}
      aiex.npu.writebd {column = 1 : i32, row = 0 : i32, bd_id = 1 : i32, buffer_length = 1024 : i32, buffer_offset = 0 : i32, d0_size = 0 : i32, d0_stride = 0 : i32, d1_size = 0 : i32, d1_stride = 0 : i32, d2_size = 0 : i32, d2_stride = 0 : i32, iteration_current = 0 : i32, iteration_size = 0 : i32, iteration_stride = 0 : i32, use_next_bd = 0 : i32, next_bd = 0 : i32, lock_acq_enable = 0 : i32, lock_acq_id = 0 : i32, lock_acq_val = 0 : i32, lock_rel_id = 0 : i32, lock_rel_val = 0 : i32, d0_zero_before = 0 : i32, d0_zero_after = 0 : i32, d1_zero_before = 0 : i32, d1_zero_after = 0 : i32, d2_zero_before = 0 : i32, d2_zero_after = 0 : i32, enable_packet = 0 : i32, packet_id = 0 : i32, packet_type = 0 : i32, out_of_order_id = 0 : i32, valid_bd = 1 : i32}
      aiex.npu.address_patch {addr = 33673252 : ui32, arg_idx = 0 : i32, arg_plus = 4096 : i32}
      aiex.npu.writebd {column = 2 : i32, row = 0 : i32, bd_id = 1 : i32, buffer_length = 1024 : i32, buffer_offset = 0 : i32, d0_size = 0 : i32, d0_stride = 0 : i32, d1_size = 0 : i32, d1_stride = 0 : i32, d2_size = 0 : i32, d2_stride = 0 : i32, iteration_current = 0 : i32, iteration_size = 0 : i32, iteration_stride = 0 : i32, use_next_bd = 0 : i32, next_bd = 0 : i32, lock_acq_enable = 0 : i32, lock_acq_id = 0 : i32, lock_acq_val = 0 : i32, lock_rel_id = 0 : i32, lock_rel_val = 0 : i32, d0_zero_before = 0 : i32, d0_zero_after = 0 : i32, d1_zero_before = 0 : i32, d1_zero_after = 0 : i32, d2_zero_before = 0 : i32, d2_zero_after = 0 : i32, enable_packet = 0 : i32, packet_id = 0 : i32, packet_type = 0 : i32, out_of_order_id = 0 : i32, valid_bd = 1 : i32}
      aiex.npu.address_patch {addr = 67227684 : ui32, arg_idx = 0 : i32, arg_plus = 8192 : i32}
      aiex.npu.writebd {column = 3 : i32, row = 0 : i32, bd_id = 1 : i32, buffer_length = 1024 : i32, buffer_offset = 0 : i32, d0_size = 0 : i32, d0_stride = 0 : i32, d1_size = 0 : i32, d1_stride = 0 : i32, d2_size = 0 : i32, d2_stride = 0 : i32, iteration_current = 0 : i32, iteration_size = 0 : i32, iteration_stride = 0 : i32, use_next_bd = 0 : i32, next_bd = 0 : i32, lock_acq_enable = 0 : i32, lock_acq_id = 0 : i32, lock_acq_val = 0 : i32, lock_rel_id = 0 : i32, lock_rel_val = 0 : i32, d0_zero_before = 0 : i32, d0_zero_after = 0 : i32, d1_zero_before = 0 : i32, d1_zero_after = 0 : i32, d2_zero_before = 0 : i32, d2_zero_after = 0 : i32, enable_packet = 0 : i32, packet_id = 0 : i32, packet_type = 0 : i32, out_of_order_id = 0 : i32, valid_bd = 1 : i32}
      aiex.npu.address_patch {addr = 100782116 : ui32, arg_idx = 0 : i32, arg_plus = 12288 : i32}
      aiex.npu.writebd {column = 0 : i32, row = 1 : i32, bd_id = 1 : i32, buffer_length = 256 : i32, buffer_offset = 258048 : i32, d0_size = 0 : i32, d0_stride = 0 : i32, d1_size = 0 : i32, d1_stride = 0 : i32, d2_size = 0 : i32, d2_stride = 0 : i32, iteration_current = 0 : i32, iteration_size = 0 : i32, iteration_stride = 0 : i32, use_next_bd = 0 : i32, next_bd = 0 : i32, lock_acq_enable = 1 : i32, lock_acq_id = 70 : i32, lock_acq_val = -1 : i32, lock_rel_id = 0 : i32, lock_rel_val = 0 : i32, d0_zero_before = 0 : i32, d0_zero_after = 0 : i32, d1_zero_before = 0 : i32, d1_zero_after = 0 : i32, d2_zero_before = 0 : i32, d2_zero_after = 0 : i32, enable_packet = 0 : i32, packet_id = 0 : i32, packet_type = 0 : i32, out_of_order_id = 0 : i32, valid_bd = 1 : i32}
      aiex.npu.writebd {column = 1 : i32, row = 1 : i32, bd_id = 3 : i32, buffer_length = 256 : i32, buffer_offset = 258048 : i32, d0_size = 0 : i32, d0_stride = 0 : i32, d1_size = 0 : i32, d1_stride = 0 : i32, d2_size = 0 : i32, d2_stride = 0 : i32, iteration_current = 0 : i32, iteration_size = 0 : i32, iteration_stride = 0 : i32, use_next_bd = 0 : i32, next_bd = 0 : i32, lock_acq_enable = 1 : i32, lock_acq_id = 70 : i32, lock_acq_val = -2 : i32, lock_rel_id = 0 : i32, lock_rel_val = 0 : i32, d0_zero_before = 0 : i32, d0_zero_after = 0 : i32, d1_zero_before = 0 : i32, d1_zero_after = 0 : i32, d2_zero_before = 0 : i32, d2_zero_after = 0 : i32, enable_packet = 0 : i32, packet_id = 0 : i32, packet_type = 0 : i32, out_of_order_id = 0 : i32, valid_bd = 1 : i32}
      aiex.npu.writebd {column = 2 : i32, row = 1 : i32, bd_id = 3 : i32, buffer_length = 256 : i32, buffer_offset = 258048 : i32, d0_size = 0 : i32, d0_stride = 0 : i32, d1_size = 0 : i32, d1_stride = 0 : i32, d2_size = 0 : i32, d2_stride = 0 : i32, iteration_current = 0 : i32, iteration_size = 0 : i32, iteration_stride = 0 : i32, use_next_bd = 0 : i32, next_bd = 0 : i32, lock_acq_enable = 1 : i32, lock_acq_id = 70 : i32, lock_acq_val = -2 : i32, lock_rel_id = 0 : i32, lock_rel_val = 0 : i32, d0_zero_before = 0 : i32, d0_zero_after = 0 : i32, d1_zero_before = 0 : i32, d1_zero_after = 0 : i32, d2_zero_before = 0 : i32, d2_zero_after = 0 : i32, enable_packet = 0 : i32, packet_id = 0 : i32, packet_type = 0 : i32, out_of_order_id = 0 : i32, valid_bd = 1 : i32}
      aiex.npu.writebd {column = 3 : i32, row = 1 : i32, bd_id = 1 : i32, buffer_length = 256 : i32, buffer_offset = 258048 : i32, d0_size = 0 : i32, d0_stride = 0 : i32, d1_size = 0 : i32, d1_stride = 0 : i32, d2_size = 0 : i32, d2_stride = 0 : i32, iteration_current = 0 : i32, iteration_size = 0 : i32, iteration_stride = 0 : i32, use_next_bd = 0 : i32, next_bd = 0 : i32, lock_acq_enable = 1 : i32, lock_acq_id = 70 : i32, lock_acq_val = -1 : i32, lock_rel_id = 0 : i32, lock_rel_val = 0 : i32, d0_zero_before = 0 : i32, d0_zero_after = 0 : i32, d1_zero_before = 0 : i32, d1_zero_after = 0 : i32, d2_zero_before = 0 : i32, d2_zero_after = 0 : i32, enable_packet = 0 : i32, packet_id = 0 : i32, packet_type = 0 : i32, out_of_order_id = 0 : i32, valid_bd = 1 : i32}
      aiex.npu.writebd {column = 1 : i32, row = 1 : i32, bd_id = 28 : i32, buffer_length = 120 : i32, buffer_offset = 261120 : i32, d0_size = 20 : i32, d0_stride = 0 : i32, d1_size = 6 : i32, d1_stride = 59 : i32, d2_size = 0 : i32, d2_stride = 0 : i32, iteration_current = 0 : i32, iteration_size = 0 : i32, iteration_stride = 0 : i32, use_next_bd = 0 : i32, next_bd = 0 : i32, lock_acq_enable = 0 : i32, lock_acq_id = 0 : i32, lock_acq_val = 0 : i32, lock_rel_id = 66 : i32, lock_rel_val = 1 : i32, d0_zero_before = 0 : i32, d0_zero_after = 0 : i32, d1_zero_before = 0 : i32, d1_zero_after = 0 : i32, d2_zero_before = 0 : i32, d2_zero_after = 0 : i32, enable_packet = 0 : i32, packet_id = 0 : i32, packet_type = 0 : i32, out_of_order_id = 0 : i32, valid_bd = 1 : i32}
      aiex.npu.writebd {column = 1 : i32, row = 1 : i32, bd_id = 29 : i32, buffer_length = 120 : i32, buffer_offset = 261140 : i32, d0_size = 20 : i32, d0_stride = 0 : i32, d1_size = 6 : i32, d1_stride = 59 : i32, d2_size = 0 : i32, d2_stride = 0 : i32, iteration_current = 0 : i32, iteration_size = 0 : i32, iteration_stride = 0 : i32, use_next_bd = 0 : i32, next_bd = 0 : i32, lock_acq_enable = 0 : i32, lock_acq_id = 0 : i32, lock_acq_val = 0 : i32, lock_rel_id = 66 : i32, lock_rel_val = 1 : i32, d0_zero_before = 0 : i32, d0_zero_after = 0 : i32, d1_zero_before = 0 : i32, d1_zero_after = 0 : i32, d2_zero_before = 0 : i32, d2_zero_after = 0 : i32, enable_packet = 0 : i32, packet_id = 0 : i32, packet_type = 0 : i32, out_of_order_id = 0 : i32, valid_bd = 1 : i32}
      aiex.npu.writebd {column = 2 : i32, row = 1 : i32, bd_id = 28 : i32, buffer_length = 120 : i32, buffer_offset = 261120 : i32, d0_size = 20 : i32, d0_stride = 0 : i32, d1_size = 6 : i32, d1_stride = 59 : i32, d2_size = 0 : i32, d2_stride = 0 : i32, iteration_current = 0 : i32, iteration_size = 0 : i32, iteration_stride = 0 : i32, use_next_bd = 0 : i32, next_bd = 0 : i32, lock_acq_enable = 0 : i32, lock_acq_id = 0 : i32, lock_acq_val = 0 : i32, lock_rel_id = 66 : i32, lock_rel_val = 1 : i32, d0_zero_before = 0 : i32, d0_zero_after = 0 : i32, d1_zero_before = 0 : i32, d1_zero_after = 0 : i32, d2_zero_before = 0 : i32, d2_zero_after = 0 : i32, enable_packet = 0 : i32, packet_id = 0 : i32, packet_type = 0 : i32, out_of_order_id = 0 : i32, valid_bd = 1 : i32}
      aiex.npu.writebd {column = 2 : i32, row = 1 : i32, bd_id = 29 : i32, buffer_length = 120 : i32, buffer_offset = 261140 : i32, d0_size = 20 : i32, d0_stride = 0 : i32, d1_size = 6 : i32, d1_stride = 59 : i32, d2_size = 0 : i32, d2_stride = 0 : i32, iteration_current = 0 : i32, iteration_size = 0 : i32, iteration_stride = 0 : i32, use_next_bd = 0 : i32, next_bd = 0 : i32, lock_acq_enable = 0 : i32, lock_acq_id = 0 : i32, lock_acq_val = 0 : i32, lock_rel_id = 66 : i32, lock_rel_val = 1 : i32, d0_zero_before = 0 : i32, d0_zero_after = 0 : i32, d1_zero_before = 0 : i32, d1_zero_after = 0 : i32, d2_zero_before = 0 : i32, d2_zero_after = 0 : i32, enable_packet = 0 : i32, packet_id = 0 : i32, packet_type = 0 : i32, out_of_order_id = 0 : i32, valid_bd = 1 : i32}
      aiex.npu.writebd {column = 0 : i32, row = 2 : i32, bd_id = 0 : i32, buffer_length = 256 : i32, buffer_offset = 28288 : i32, d0_size = 0 : i32, d0_stride = 0 : i32, d1_size = 0 : i32, d1_stride = 0 : i32, d2_size = 0 : i32, d2_stride = 0 : i32, iteration_current = 0 : i32, iteration_size = 35 : i32, iteration_stride = 255 : i32, use_next_bd = 1 : i32, next_bd = 0 : i32, lock_acq_enable = 1 : i32, lock_acq_id = 0 : i32, lock_acq_val = -1 : i32, lock_rel_id = 1 : i32, lock_rel_val = 1 : i32, d0_zero_before = 0 : i32, d0_zero_after = 0 : i32, d1_zero_before = 0 : i32, d1_zero_after = 0 : i32, d2_zero_before = 0 : i32, d2_zero_after = 0 : i32, enable_packet = 0 : i32, packet_id = 0 : i32, packet_type = 0 : i32, out_of_order_id = 0 : i32, valid_bd = 1 : i32}
      aiex.npu.writebd {column = 0 : i32, row = 2 : i32, bd_id = 1 : i32, buffer_length = 128 : i32, buffer_offset = 16000 : i32, d0_size = 0 : i32, d0_stride = 0 : i32, d1_size = 0 : i32, d1_stride = 0 : i32, d2_size = 0 : i32, d2_stride = 0 : i32, iteration_current = 0 : i32, iteration_size = 23 : i32, iteration_stride = 127 : i32, use_next_bd = 1 : i32, next_bd = 1 : i32, lock_acq_enable = 1 : i32, lock_acq_id = 2 : i32, lock_acq_val = -1 : i32, lock_rel_id = 3 : i32, lock_rel_val = 1 : i32, d0_zero_before = 0 : i32, d0_zero_after = 0 : i32, d1_zero_before = 0 : i32, d1_zero_after = 0 : i32, d2_zero_before = 0 : i32, d2_zero_after = 0 : i32, enable_packet = 0 : i32, packet_id = 0 : i32, packet_type = 0 : i32, out_of_order_id = 0 : i32, valid_bd = 1 : i32}
      aiex.npu.writebd {column = 0 : i32, row = 2 : i32, bd_id = 2 : i32, buffer_length = 28 : i32, buffer_offset = 9728 : i32, d0_size = 0 : i32, d0_stride = 0 : i32, d1_size = 0 : i32, d1_stride = 0 : i32, d2_size = 0 : i32, d2_stride = 0 : i32, iteration_current = 0 : i32, iteration_size = 55 : i32, iteration_stride = 27 : i32, use_next_bd = 1 : i32, next_bd = 2 : i32, lock_acq_enable = 1 : i32, lock_acq_id = 5 : i32, lock_acq_val = -1 : i32, lock_rel_id = 4 : i32, lock_rel_val = 1 : i32, d0_zero_before = 0 : i32, d0_zero_after = 0 : i32, d1_zero_before = 0 : i32, d1_zero_after = 0 : i32, d2_zero_before = 0 : i32, d2_zero_after = 0 : i32, enable_packet = 0 : i32, packet_id = 0 : i32, packet_type = 0 : i32, out_of_order_id = 0 : i32, valid_bd = 1 : i32}
      aiex.npu.writebd {column = 0 : i32, row = 3 : i32, bd_id = 0 : i32, buffer_length = 256 : i32, buffer_offset = 28288 : i32, d0_size = 0 : i32, d0_stride = 0 : i32, d1_size = 0 : i32, d1_stride = 0 : i32, d2_size = 0 : i32, d2_stride = 0 : i32, iteration_current = 0 : i32, iteration_size = 35 : i32, iteration_stride = 255 : i32, use_next_bd = 1 : i32, next_bd = 0 : i32, lock_acq_enable = 1 : i32, lock_acq_id = 0 : i32, lock_acq_val = -1 : i32, lock_rel_id = 1 : i32, lock_rel_val = 1 : i32, d0_zero_before = 0 : i32, d0_zero_after = 0 : i32, d1_zero_before = 0 : i32, d1_zero_after = 0 : i32, d2_zero_before = 0 : i32, d2_zero_after = 0 : i32, enable_packet = 0 : i32, packet_id = 0 : i32, packet_type = 0 : i32, out_of_order_id = 0 : i32, valid_bd = 1 : i32}
      aiex.npu.writebd {column = 0 : i32, row = 3 : i32, bd_id = 1 : i32, buffer_length = 128 : i32, buffer_offset = 16000 : i32, d0_size = 0 : i32, d0_stride = 0 : i32, d1_size = 0 : i32, d1_stride = 0 : i32, d2_size = 0 : i32, d2_stride = 0 : i32, iteration_current = 0 : i32, iteration_size = 23 : i32, iteration_stride = 127 : i32, use_next_bd = 1 : i32, next_bd = 1 : i32, lock_acq_enable = 1 : i32, lock_acq_id = 2 : i32, lock_acq_val = -1 : i32, lock_rel_id = 3 : i32, lock_rel_val = 1 : i32, d0_zero_before = 0 : i32, d0_zero_after = 0 : i32, d1_zero_before = 0 : i32, d1_zero_after = 0 : i32, d2_zero_before = 0 : i32, d2_zero_after = 0 : i32, enable_packet = 0 : i32, packet_id = 0 : i32, packet_type = 0 : i32, out_of_order_id = 0 : i32, valid_bd = 1 : i32}
      aiex.npu.writebd {column = 0 : i32, row = 3 : i32, bd_id = 2 : i32, buffer_length = 28 : i32, buffer_offset = 9728 : i32, d0_size = 0 : i32, d0_stride = 0 : i32, d1_size = 0 : i32, d1_stride = 0 : i32, d2_size = 0 : i32, d2_stride = 0 : i32, iteration_current = 0 : i32, iteration_size = 55 : i32, iteration_stride = 27 : i32, use_next_bd = 1 : i32, next_bd = 2 : i32, lock_acq_enable = 1 : i32, lock_acq_id = 5 : i32, lock_acq_val = -1 : i32, lock_rel_id = 4 : i32, lock_rel_val = 1 : i32, d0_zero_before = 0 : i32, d0_zero_after = 0 : i32, d1_zero_before = 0 : i32, d1_zero_after = 0 : i32, d2_zero_before = 0 : i32, d2_zero_after = 0 : i32, enable_packet = 0 : i32, packet_id = 0 : i32, packet_type = 0 : i32, out_of_order_id = 0 : i32, valid_bd = 1 : i32}
      aiex.npu.writebd {column = 0 : i32, row = 4 : i32, bd_id = 0 : i32, buffer_length = 256 : i32, buffer_offset = 28288 : i32, d0_size = 0 : i32, d0_stride = 0 : i32, d1_size = 0 : i32, d1_stride = 0 : i32, d2_size = 0 : i32, d2_stride = 0 : i32, iteration_current = 0 : i32, iteration_size = 35 : i32, iteration_stride = 255 : i32, use_next_bd = 1 : i32, next_bd = 0 : i32, lock_acq_enable = 1 : i32, lock_acq_id = 0 : i32, lock_acq_val = -1 : i32, lock_rel_id = 1 : i32, lock_rel_val = 1 : i32, d0_zero_before = 0 : i32, d0_zero_after = 0 : i32, d1_zero_before = 0 : i32, d1_zero_after = 0 : i32, d2_zero_before = 0 : i32, d2_zero_after = 0 : i32, enable_packet = 0 : i32, packet_id = 0 : i32, packet_type = 0 : i32, out_of_order_id = 0 : i32, valid_bd = 1 : i32}
      aiex.npu.writebd {column = 0 : i32, row = 4 : i32, bd_id = 1 : i32, buffer_length = 128 : i32, buffer_offset = 16000 : i32, d0_size = 0 : i32, d0_stride = 0 : i32, d1_size = 0 : i32, d1_stride = 0 : i32, d2_size = 0 : i32, d2_stride = 0 : i32, iteration_current = 0 : i32, iteration_size = 23 : i32, iteration_stride = 127 : i32, use_next_bd = 1 : i32, next_bd = 1 : i32, lock_acq_enable = 1 : i32, lock_acq_id = 2 : i32, lock_acq_val = -1 : i32, lock_rel_id = 3 : i32, lock_rel_val = 1 : i32, d0_zero_before = 0 : i32, d0_zero_after = 0 : i32, d1_zero_before = 0 : i32, d1_zero_after = 0 : i32, d2_zero_before = 0 : i32, d2_zero_after = 0 : i32, enable_packet = 0 : i32, packet_id = 0 : i32, packet_type = 0 : i32, out_of_order_id = 0 : i32, valid_bd = 1 : i32}
      aiex.npu.writebd {column = 0 : i32, row = 4 : i32, bd_id = 2 : i32, buffer_length = 28 : i32, buffer_offset = 9728 : i32, d0_size = 0 : i32, d0_stride = 0 : i32, d1_size = 0 : i32, d1_stride = 0 : i32, d2_size = 0 : i32, d2_stride = 0 : i32, iteration_current = 0 : i32, iteration_size = 55 : i32, iteration_stride = 27 : i32, use_next_bd = 1 : i32, next_bd = 2 : i32, lock_acq_enable = 1 : i32, lock_acq_id = 5 : i32, lock_acq_val = -1 : i32, lock_rel_id = 4 : i32, lock_rel_val = 1 : i32, d0_zero_before = 0 : i32, d0_zero_after = 0 : i32, d1_zero_before = 0 : i32, d1_zero_after = 0 : i32, d2_zero_before = 0 : i32, d2_zero_after = 0 : i32, enable_packet = 0 : i32, packet_id = 0 : i32, packet_type = 0 : i32, out_of_order_id = 0 : i32, valid_bd = 1 : i32}
      aiex.npu.writebd {column = 0 : i32, row = 5 : i32, bd_id = 0 : i32, buffer_length = 256 : i32, buffer_offset = 28288 : i32, d0_size = 0 : i32, d0_stride = 0 : i32, d1_size = 0 : i32, d1_stride = 0 : i32, d2_size = 0 : i32, d2_stride = 0 : i32, iteration_current = 0 : i32, iteration_size = 35 : i32, iteration_stride = 255 : i32, use_next_bd = 1 : i32, next_bd = 0 : i32, lock_acq_enable = 1 : i32, lock_acq_id = 0 : i32, lock_acq_val = -1 : i32, lock_rel_id = 1 : i32, lock_rel_val = 1 : i32, d0_zero_before = 0 : i32, d0_zero_after = 0 : i32, d1_zero_before = 0 : i32, d1_zero_after = 0 : i32, d2_zero_before = 0 : i32, d2_zero_after = 0 : i32, enable_packet = 0 : i32, packet_id = 0 : i32, packet_type = 0 : i32, out_of_order_id = 0 : i32, valid_bd = 1 : i32}
      aiex.npu.writebd {column = 0 : i32, row = 5 : i32, bd_id = 1 : i32, buffer_length = 128 : i32, buffer_offset = 16000 : i32, d0_size = 0 : i32, d0_stride = 0 : i32, d1_size = 0 : i32, d1_stride = 0 : i32, d2_size = 0 : i32, d2_stride = 0 : i32, iteration_current = 0 : i32, iteration_size = 23 : i32, iteration_stride = 127 : i32, use_next_bd = 1 : i32, next_bd = 1 : i32, lock_acq_enable = 1 : i32, lock_acq_id = 2 : i32, lock_acq_val = -1 : i32, lock_rel_id = 3 : i32, lock_rel_val = 1 : i32, d0_zero_before = 0 : i32, d0_zero_after = 0 : i32, d1_zero_before = 0 : i32, d1_zero_after = 0 : i32, d2_zero_before = 0 : i32, d2_zero_after = 0 : i32, enable_packet = 0 : i32, packet_id = 0 : i32, packet_type = 0 : i32, out_of_order_id = 0 : i32, valid_bd = 1 : i32}
      aiex.npu.writebd {column = 0 : i32, row = 5 : i32, bd_id = 2 : i32, buffer_length = 28 : i32, buffer_offset = 9728 : i32, d0_size = 0 : i32, d0_stride = 0 : i32, d1_size = 0 : i32, d1_stride = 0 : i32, d2_size = 0 : i32, d2_stride = 0 : i32, iteration_current = 0 : i32, iteration_size = 55 : i32, iteration_stride = 27 : i32, use_next_bd = 1 : i32, next_bd = 2 : i32, lock_acq_enable = 1 : i32, lock_acq_id = 5 : i32, lock_acq_val = -1 : i32, lock_rel_id = 4 : i32, lock_rel_val = 1 : i32, d0_zero_before = 0 : i32, d0_zero_after = 0 : i32, d1_zero_before = 0 : i32, d1_zero_after = 0 : i32, d2_zero_before = 0 : i32, d2_zero_after = 0 : i32, enable_packet = 0 : i32, packet_id = 0 : i32, packet_type = 0 : i32, out_of_order_id = 0 : i32, valid_bd = 1 : i32}
      aiex.npu.writebd {column = 1 : i32, row = 2 : i32, bd_id = 0 : i32, buffer_length = 256 : i32, buffer_offset = 28288 : i32, d0_size = 0 : i32, d0_stride = 0 : i32, d1_size = 0 : i32, d1_stride = 0 : i32, d2_size = 0 : i32, d2_stride = 0 : i32, iteration_current = 0 : i32, iteration_size = 35 : i32, iteration_stride = 255 : i32, use_next_bd = 1 : i32, next_bd = 0 : i32, lock_acq_enable = 1 : i32, lock_acq_id = 0 : i32, lock_acq_val = -1 : i32, lock_rel_id = 1 : i32, lock_rel_val = 1 : i32, d0_zero_before = 0 : i32, d0_zero_after = 0 : i32, d1_zero_before = 0 : i32, d1_zero_after = 0 : i32, d2_zero_before = 0 : i32, d2_zero_after = 0 : i32, enable_packet = 0 : i32, packet_id = 0 : i32, packet_type = 0 : i32, out_of_order_id = 0 : i32, valid_bd = 1 : i32}
      aiex.npu.writebd {column = 1 : i32, row = 2 : i32, bd_id = 1 : i32, buffer_length = 128 : i32, buffer_offset = 16000 : i32, d0_size = 0 : i32, d0_stride = 0 : i32, d1_size = 0 : i32, d1_stride = 0 : i32, d2_size = 0 : i32, d2_stride = 0 : i32, iteration_current = 0 : i32, iteration_size = 23 : i32, iteration_stride = 127 : i32, use_next_bd = 1 : i32, next_bd = 1 : i32, lock_acq_enable = 1 : i32, lock_acq_id = 2 : i32, lock_acq_val = -1 : i32, lock_rel_id = 3 : i32, lock_rel_val = 1 : i32, d0_zero_before = 0 : i32, d0_zero_after = 0 : i32, d1_zero_before = 0 : i32, d1_zero_after = 0 : i32, d2_zero_before = 0 : i32, d2_zero_after = 0 : i32, enable_packet = 0 : i32, packet_id = 0 : i32, packet_type = 0 : i32, out_of_order_id = 0 : i32, valid_bd = 1 : i32}
      aiex.npu.writebd {column = 1 : i32, row = 2 : i32, bd_id = 2 : i32, buffer_length = 28 : i32, buffer_offset = 9728 : i32, d0_size = 0 : i32, d0_stride = 0 : i32, d1_size = 0 : i32, d1_stride = 0 : i32, d2_size = 0 : i32, d2_stride = 0 : i32, iteration_current = 0 : i32, iteration_size = 55 : i32, iteration_stride = 27 : i32, use_next_bd = 1 : i32, next_bd = 2 : i32, lock_acq_enable = 1 : i32, lock_acq_id = 5 : i32, lock_acq_val = -1 : i32, lock_rel_id = 4 : i32, lock_rel_val = 1 : i32, d0_zero_before = 0 : i32, d0_zero_after = 0 : i32, d1_zero_before = 0 : i32, d1_zero_after = 0 : i32, d2_zero_before = 0 : i32, d2_zero_after = 0 : i32, enable_packet = 0 : i32, packet_id = 0 : i32, packet_type = 0 : i32, out_of_order_id = 0 : i32, valid_bd = 1 : i32}
      aiex.npu.writebd {column = 1 : i32, row = 3 : i32, bd_id = 0 : i32, buffer_length = 256 : i32, buffer_offset = 28288 : i32, d0_size = 0 : i32, d0_stride = 0 : i32, d1_size = 0 : i32, d1_stride = 0 : i32, d2_size = 0 : i32, d2_stride = 0 : i32, iteration_current = 0 : i32, iteration_size = 35 : i32, iteration_stride = 255 : i32, use_next_bd = 1 : i32, next_bd = 0 : i32, lock_acq_enable = 1 : i32, lock_acq_id = 0 : i32, lock_acq_val = -1 : i32, lock_rel_id = 1 : i32, lock_rel_val = 1 : i32, d0_zero_before = 0 : i32, d0_zero_after = 0 : i32, d1_zero_before = 0 : i32, d1_zero_after = 0 : i32, d2_zero_before = 0 : i32, d2_zero_after = 0 : i32, enable_packet = 0 : i32, packet_id = 0 : i32, packet_type = 0 : i32, out_of_order_id = 0 : i32, valid_bd = 1 : i32}
      aiex.npu.writebd {column = 1 : i32, row = 3 : i32, bd_id = 1 : i32, buffer_length = 128 : i32, buffer_offset = 16000 : i32, d0_size = 0 : i32, d0_stride = 0 : i32, d1_size = 0 : i32, d1_stride = 0 : i32, d2_size = 0 : i32, d2_stride = 0 : i32, iteration_current = 0 : i32, iteration_size = 23 : i32, iteration_stride = 127 : i32, use_next_bd = 1 : i32, next_bd = 1 : i32, lock_acq_enable = 1 : i32, lock_acq_id = 2 : i32, lock_acq_val = -1 : i32, lock_rel_id = 3 : i32, lock_rel_val = 1 : i32, d0_zero_before = 0 : i32, d0_zero_after = 0 : i32, d1_zero_before = 0 : i32, d1_zero_after = 0 : i32, d2_zero_before = 0 : i32, d2_zero_after = 0 : i32, enable_packet = 0 : i32, packet_id = 0 : i32, packet_type = 0 : i32, out_of_order_id = 0 : i32, valid_bd = 1 : i32}
      aiex.npu.writebd {column = 1 : i32, row = 3 : i32, bd_id = 2 : i32, buffer_length = 28 : i32, buffer_offset = 9728 : i32, d0_size = 0 : i32, d0_stride = 0 : i32, d1_size = 0 : i32, d1_stride = 0 : i32, d2_size = 0 : i32, d2_stride = 0 : i32, iteration_current = 0 : i32, iteration_size = 55 : i32, iteration_stride = 27 : i32, use_next_bd = 1 : i32, next_bd = 2 : i32, lock_acq_enable = 1 : i32, lock_acq_id = 5 : i32, lock_acq_val = -1 : i32, lock_rel_id = 4 : i32, lock_rel_val = 1 : i32, d0_zero_before = 0 : i32, d0_zero_after = 0 : i32, d1_zero_before = 0 : i32, d1_zero_after = 0 : i32, d2_zero_before = 0 : i32, d2_zero_after = 0 : i32, enable_packet = 0 : i32, packet_id = 0 : i32, packet_type = 0 : i32, out_of_order_id = 0 : i32, valid_bd = 1 : i32}
      aiex.npu.writebd {column = 1 : i32, row = 4 : i32, bd_id = 0 : i32, buffer_length = 256 : i32, buffer_offset = 28288 : i32, d0_size = 0 : i32, d0_stride = 0 : i32, d1_size = 0 : i32, d1_stride = 0 : i32, d2_size = 0 : i32, d2_stride = 0 : i32, iteration_current = 0 : i32, iteration_size = 35 : i32, iteration_stride = 255 : i32, use_next_bd = 1 : i32, next_bd = 0 : i32, lock_acq_enable = 1 : i32, lock_acq_id = 0 : i32, lock_acq_val = -1 : i32, lock_rel_id = 1 : i32, lock_rel_val = 1 : i32, d0_zero_before = 0 : i32, d0_zero_after = 0 : i32, d1_zero_before = 0 : i32, d1_zero_after = 0 : i32, d2_zero_before = 0 : i32, d2_zero_after = 0 : i32, enable_packet = 0 : i32, packet_id = 0 : i32, packet_type = 0 : i32, out_of_order_id = 0 : i32, valid_bd = 1 : i32}
      aiex.npu.writebd {column = 1 : i32, row = 4 : i32, bd_id = 1 : i32, buffer_length = 128 : i32, buffer_offset = 16000 : i32, d0_size = 0 : i32, d0_stride = 0 : i32, d1_size = 0 : i32, d1_stride = 0 : i32, d2_size = 0 : i32, d2_stride = 0 : i32, iteration_current = 0 : i32, iteration_size = 23 : i32, iteration_stride = 127 : i32, use_next_bd = 1 : i32, next_bd = 1 : i32, lock_acq_enable = 1 : i32, lock_acq_id = 2 : i32, lock_acq_val = -1 : i32, lock_rel_id = 3 : i32, lock_rel_val = 1 : i32, d0_zero_before = 0 : i32, d0_zero_after = 0 : i32, d1_zero_before = 0 : i32, d1_zero_after = 0 : i32, d2_zero_before = 0 : i32, d2_zero_after = 0 : i32, enable_packet = 0 : i32, packet_id = 0 : i32, packet_type = 0 : i32, out_of_order_id = 0 : i32, valid_bd = 1 : i32}
      aiex.npu.writebd {column = 1 : i32, row = 4 : i32, bd_id = 2 : i32, buffer_length = 28 : i32, buffer_offset = 9728 : i32, d0_size = 0 : i32, d0_stride = 0 : i32, d1_size = 0 : i32, d1_stride = 0 : i32, d2_size = 0 : i32, d2_stride = 0 : i32, iteration_current = 0 : i32, iteration_size = 55 : i32, iteration_stride = 27 : i32, use_next_bd = 1 : i32, next_bd = 2 : i32, lock_acq_enable = 1 : i32, lock_acq_id = 5 : i32, lock_acq_val = -1 : i32, lock_rel_id = 4 : i32, lock_rel_val = 1 : i32, d0_zero_before = 0 : i32, d0_zero_after = 0 : i32, d1_zero_before = 0 : i32, d1_zero_after = 0 : i32, d2_zero_before = 0 : i32, d2_zero_after = 0 : i32, enable_packet = 0 : i32, packet_id = 0 : i32, packet_type = 0 : i32, out_of_order_id = 0 : i32, valid_bd = 1 : i32}
      aiex.npu.writebd {column = 1 : i32, row = 5 : i32, bd_id = 0 : i32, buffer_length = 256 : i32, buffer_offset = 28288 : i32, d0_size = 0 : i32, d0_stride = 0 : i32, d1_size = 0 : i32, d1_stride = 0 : i32, d2_size = 0 : i32, d2_stride = 0 : i32, iteration_current = 0 : i32, iteration_size = 35 : i32, iteration_stride = 255 : i32, use_next_bd = 1 : i32, next_bd = 0 : i32, lock_acq_enable = 1 : i32, lock_acq_id = 0 : i32, lock_acq_val = -1 : i32, lock_rel_id = 1 : i32, lock_rel_val = 1 : i32, d0_zero_before = 0 : i32, d0_zero_after = 0 : i32, d1_zero_before = 0 : i32, d1_zero_after = 0 : i32, d2_zero_before = 0 : i32, d2_zero_after = 0 : i32, enable_packet = 0 : i32, packet_id = 0 : i32, packet_type = 0 : i32, out_of_order_id = 0 : i32, valid_bd = 1 : i32}
      aiex.npu.writebd {column = 1 : i32, row = 5 : i32, bd_id = 1 : i32, buffer_length = 128 : i32, buffer_offset = 16000 : i32, d0_size = 0 : i32, d0_stride = 0 : i32, d1_size = 0 : i32, d1_stride = 0 : i32, d2_size = 0 : i32, d2_stride = 0 : i32, iteration_current = 0 : i32, iteration_size = 23 : i32, iteration_stride = 127 : i32, use_next_bd = 1 : i32, next_bd = 1 : i32, lock_acq_enable = 1 : i32, lock_acq_id = 2 : i32, lock_acq_val = -1 : i32, lock_rel_id = 3 : i32, lock_rel_val = 1 : i32, d0_zero_before = 0 : i32, d0_zero_after = 0 : i32, d1_zero_before = 0 : i32, d1_zero_after = 0 : i32, d2_zero_before = 0 : i32, d2_zero_after = 0 : i32, enable_packet = 0 : i32, packet_id = 0 : i32, packet_type = 0 : i32, out_of_order_id = 0 : i32, valid_bd = 1 : i32}
      aiex.npu.writebd {column = 1 : i32, row = 5 : i32, bd_id = 2 : i32, buffer_length = 28 : i32, buffer_offset = 9728 : i32, d0_size = 0 : i32, d0_stride = 0 : i32, d1_size = 0 : i32, d1_stride = 0 : i32, d2_size = 0 : i32, d2_stride = 0 : i32, iteration_current = 0 : i32, iteration_size = 55 : i32, iteration_stride = 27 : i32, use_next_bd = 1 : i32, next_bd = 2 : i32, lock_acq_enable = 1 : i32, lock_acq_id = 5 : i32, lock_acq_val = -1 : i32, lock_rel_id = 4 : i32, lock_rel_val = 1 : i32, d0_zero_before = 0 : i32, d0_zero_after = 0 : i32, d1_zero_before = 0 : i32, d1_zero_after = 0 : i32, d2_zero_before = 0 : i32, d2_zero_after = 0 : i32, enable_packet = 0 : i32, packet_id = 0 : i32, packet_type = 0 : i32, out_of_order_id = 0 : i32, valid_bd = 1 : i32}
      aiex.npu.writebd {column = 2 : i32, row = 2 : i32, bd_id = 0 : i32, buffer_length = 256 : i32, buffer_offset = 28288 : i32, d0_size = 0 : i32, d0_stride = 0 : i32, d1_size = 0 : i32, d1_stride = 0 : i32, d2_size = 0 : i32, d2_stride = 0 : i32, iteration_current = 0 : i32, iteration_size = 35 : i32, iteration_stride = 255 : i32, use_next_bd = 1 : i32, next_bd = 0 : i32, lock_acq_enable = 1 : i32, lock_acq_id = 0 : i32, lock_acq_val = -1 : i32, lock_rel_id = 1 : i32, lock_rel_val = 1 : i32, d0_zero_before = 0 : i32, d0_zero_after = 0 : i32, d1_zero_before = 0 : i32, d1_zero_after = 0 : i32, d2_zero_before = 0 : i32, d2_zero_after = 0 : i32, enable_packet = 0 : i32, packet_id = 0 : i32, packet_type = 0 : i32, out_of_order_id = 0 : i32, valid_bd = 1 : i32}
      aiex.npu.writebd {column = 2 : i32, row = 2 : i32, bd_id = 1 : i32, buffer_length = 128 : i32, buffer_offset = 16000 : i32, d0_size = 0 : i32, d0_stride = 0 : i32, d1_size = 0 : i32, d1_stride = 0 : i32, d2_size = 0 : i32, d2_stride = 0 : i32, iteration_current = 0 : i32, iteration_size = 23 : i32, iteration_stride = 127 : i32, use_next_bd = 1 : i32, next_bd = 1 : i32, lock_acq_enable = 1 : i32, lock_acq_id = 2 : i32, lock_acq_val = -1 : i32, lock_rel_id = 3 : i32, lock_rel_val = 1 : i32, d0_zero_before = 0 : i32, d0_zero_after = 0 : i32, d1_zero_before = 0 : i32, d1_zero_after = 0 : i32, d2_zero_before = 0 : i32, d2_zero_after = 0 : i32, enable_packet = 0 : i32, packet_id = 0 : i32, packet_type = 0 : i32, out_of_order_id = 0 : i32, valid_bd = 1 : i32}
      aiex.npu.writebd {column = 2 : i32, row = 2 : i32, bd_id = 2 : i32, buffer_length = 28 : i32, buffer_offset = 9728 : i32, d0_size = 0 : i32, d0_stride = 0 : i32, d1_size = 0 : i32, d1_stride = 0 : i32, d2_size = 0 : i32, d2_stride = 0 : i32, iteration_current = 0 : i32, iteration_size = 55 : i32, iteration_stride = 27 : i32, use_next_bd = 1 : i32, next_bd = 2 : i32, lock_acq_enable = 1 : i32, lock_acq_id = 5 : i32, lock_acq_val = -1 : i32, lock_rel_id = 4 : i32, lock_rel_val = 1 : i32, d0_zero_before = 0 : i32, d0_zero_after = 0 : i32, d1_zero_before = 0 : i32, d1_zero_after = 0 : i32, d2_zero_before = 0 : i32, d2_zero_after = 0 : i32, enable_packet = 0 : i32, packet_id = 0 : i32, packet_type = 0 : i32, out_of_order_id = 0 : i32, valid_bd = 1 : i32}
      aiex.npu.writebd {column = 2 : i32, row = 3 : i32, bd_id = 0 : i32, buffer_length = 256 : i32, buffer_offset = 28288 : i32, d0_size = 0 : i32, d0_stride = 0 : i32, d1_size = 0 : i32, d1_stride = 0 : i32, d2_size = 0 : i32, d2_stride = 0 : i32, iteration_current = 0 : i32, iteration_size = 35 : i32, iteration_stride = 255 : i32, use_next_bd = 1 : i32, next_bd = 0 : i32, lock_acq_enable = 1 : i32, lock_acq_id = 0 : i32, lock_acq_val = -1 : i32, lock_rel_id = 1 : i32, lock_rel_val = 1 : i32, d0_zero_before = 0 : i32, d0_zero_after = 0 : i32, d1_zero_before = 0 : i32, d1_zero_after = 0 : i32, d2_zero_before = 0 : i32, d2_zero_after = 0 : i32, enable_packet = 0 : i32, packet_id = 0 : i32, packet_type = 0 : i32, out_of_order_id = 0 : i32, valid_bd = 1 : i32}
      aiex.npu.writebd {column = 2 : i32, row = 3 : i32, bd_id = 1 : i32, buffer_length = 128 : i32, buffer_offset = 16000 : i32, d0_size = 0 : i32, d0_stride = 0 : i32, d1_size = 0 : i32, d1_stride = 0 : i32, d2_size = 0 : i32, d2_stride = 0 : i32, iteration_current = 0 : i32, iteration_size = 23 : i32, iteration_stride = 127 : i32, use_next_bd = 1 : i32, next_bd = 1 : i32, lock_acq_enable = 1 : i32, lock_acq_id = 2 : i32, lock_acq_val = -1 : i32, lock_rel_id = 3 : i32, lock_rel_val = 1 : i32, d0_zero_before = 0 : i32, d0_zero_after = 0 : i32, d1_zero_before = 0 : i32, d1_zero_after = 0 : i32, d2_zero_before = 0 : i32, d2_zero_after = 0 : i32, enable_packet = 0 : i32, packet_id = 0 : i32, packet_type = 0 : i32, out_of_order_id = 0 : i32, valid_bd = 1 : i32}
      aiex.npu.writebd {column = 2 : i32, row = 3 : i32, bd_id = 2 : i32, buffer_length = 28 : i32, buffer_offset = 9728 : i32, d0_size = 0 : i32, d0_stride = 0 : i32, d1_size = 0 : i32, d1_stride = 0 : i32, d2_size = 0 : i32, d2_stride = 0 : i32, iteration_current = 0 : i32, iteration_size = 55 : i32, iteration_stride = 27 : i32, use_next_bd = 1 : i32, next_bd = 2 : i32, lock_acq_enable = 1 : i32, lock_acq_id = 5 : i32, lock_acq_val = -1 : i32, lock_rel_id = 4 : i32, lock_rel_val = 1 : i32, d0_zero_before = 0 : i32, d0_zero_after = 0 : i32, d1_zero_before = 0 : i32, d1_zero_after = 0 : i32, d2_zero_before = 0 : i32, d2_zero_after = 0 : i32, enable_packet = 0 : i32, packet_id = 0 : i32, packet_type = 0 : i32, out_of_order_id = 0 : i32, valid_bd = 1 : i32}
      aiex.npu.writebd {column = 2 : i32, row = 4 : i32, bd_id = 0 : i32, buffer_length = 256 : i32, buffer_offset = 28288 : i32, d0_size = 0 : i32, d0_stride = 0 : i32, d1_size = 0 : i32, d1_stride = 0 : i32, d2_size = 0 : i32, d2_stride = 0 : i32, iteration_current = 0 : i32, iteration_size = 35 : i32, iteration_stride = 255 : i32, use_next_bd = 1 : i32, next_bd = 0 : i32, lock_acq_enable = 1 : i32, lock_acq_id = 0 : i32, lock_acq_val = -1 : i32, lock_rel_id = 1 : i32, lock_rel_val = 1 : i32, d0_zero_before = 0 : i32, d0_zero_after = 0 : i32, d1_zero_before = 0 : i32, d1_zero_after = 0 : i32, d2_zero_before = 0 : i32, d2_zero_after = 0 : i32, enable_packet = 0 : i32, packet_id = 0 : i32, packet_type = 0 : i32, out_of_order_id = 0 : i32, valid_bd = 1 : i32}
      aiex.npu.writebd {column = 2 : i32, row = 4 : i32, bd_id = 1 : i32, buffer_length = 128 : i32, buffer_offset = 16000 : i32, d0_size = 0 : i32, d0_stride = 0 : i32, d1_size = 0 : i32, d1_stride = 0 : i32, d2_size = 0 : i32, d2_stride = 0 : i32, iteration_current = 0 : i32, iteration_size = 23 : i32, iteration_stride = 127 : i32, use_next_bd = 1 : i32, next_bd = 1 : i32, lock_acq_enable = 1 : i32, lock_acq_id = 2 : i32, lock_acq_val = -1 : i32, lock_rel_id = 3 : i32, lock_rel_val = 1 : i32, d0_zero_before = 0 : i32, d0_zero_after = 0 : i32, d1_zero_before = 0 : i32, d1_zero_after = 0 : i32, d2_zero_before = 0 : i32, d2_zero_after = 0 : i32, enable_packet = 0 : i32, packet_id = 0 : i32, packet_type = 0 : i32, out_of_order_id = 0 : i32, valid_bd = 1 : i32}
      aiex.npu.writebd {column = 2 : i32, row = 4 : i32, bd_id = 2 : i32, buffer_length = 28 : i32, buffer_offset = 9728 : i32, d0_size = 0 : i32, d0_stride = 0 : i32, d1_size = 0 : i32, d1_stride = 0 : i32, d2_size = 0 : i32, d2_stride = 0 : i32, iteration_current = 0 : i32, iteration_size = 55 : i32, iteration_stride = 27 : i32, use_next_bd = 1 : i32, next_bd = 2 : i32, lock_acq_enable = 1 : i32, lock_acq_id = 5 : i32, lock_acq_val = -1 : i32, lock_rel_id = 4 : i32, lock_rel_val = 1 : i32, d0_zero_before = 0 : i32, d0_zero_after = 0 : i32, d1_zero_before = 0 : i32, d1_zero_after = 0 : i32, d2_zero_before = 0 : i32, d2_zero_after = 0 : i32, enable_packet = 0 : i32, packet_id = 0 : i32, packet_type = 0 : i32, out_of_order_id = 0 : i32, valid_bd = 1 : i32}
      aiex.npu.writebd {column = 2 : i32, row = 5 : i32, bd_id = 0 : i32, buffer_length = 256 : i32, buffer_offset = 28288 : i32, d0_size = 0 : i32, d0_stride = 0 : i32, d1_size = 0 : i32, d1_stride = 0 : i32, d2_size = 0 : i32, d2_stride = 0 : i32, iteration_current = 0 : i32, iteration_size = 35 : i32, iteration_stride = 255 : i32, use_next_bd = 1 : i32, next_bd = 0 : i32, lock_acq_enable = 1 : i32, lock_acq_id = 0 : i32, lock_acq_val = -1 : i32, lock_rel_id = 1 : i32, lock_rel_val = 1 : i32, d0_zero_before = 0 : i32, d0_zero_after = 0 : i32, d1_zero_before = 0 : i32, d1_zero_after = 0 : i32, d2_zero_before = 0 : i32, d2_zero_after = 0 : i32, enable_packet = 0 : i32, packet_id = 0 : i32, packet_type = 0 : i32, out_of_order_id = 0 : i32, valid_bd = 1 : i32}
      aiex.npu.writebd {column = 2 : i32, row = 5 : i32, bd_id = 1 : i32, buffer_length = 128 : i32, buffer_offset = 16000 : i32, d0_size = 0 : i32, d0_stride = 0 : i32, d1_size = 0 : i32, d1_stride = 0 : i32, d2_size = 0 : i32, d2_stride = 0 : i32, iteration_current = 0 : i32, iteration_size = 23 : i32, iteration_stride = 127 : i32, use_next_bd = 1 : i32, next_bd = 1 : i32, lock_acq_enable = 1 : i32, lock_acq_id = 2 : i32, lock_acq_val = -1 : i32, lock_rel_id = 3 : i32, lock_rel_val = 1 : i32, d0_zero_before = 0 : i32, d0_zero_after = 0 : i32, d1_zero_before = 0 : i32, d1_zero_after = 0 : i32, d2_zero_before = 0 : i32, d2_zero_after = 0 : i32, enable_packet = 0 : i32, packet_id = 0 : i32, packet_type = 0 : i32, out_of_order_id = 0 : i32, valid_bd = 1 : i32}
      aiex.npu.writebd {column = 2 : i32, row = 5 : i32, bd_id = 2 : i32, buffer_length = 28 : i32, buffer_offset = 9728 : i32, d0_size = 0 : i32, d0_stride = 0 : i32, d1_size = 0 : i32, d1_stride = 0 : i32, d2_size = 0 : i32, d2_stride = 0 : i32, iteration_current = 0 : i32, iteration_size = 55 : i32, iteration_stride = 27 : i32, use_next_bd = 1 : i32, next_bd = 2 : i32, lock_acq_enable = 1 : i32, lock_acq_id = 5 : i32, lock_acq_val = -1 : i32, lock_rel_id = 4 : i32, lock_rel_val = 1 : i32, d0_zero_before = 0 : i32, d0_zero_after = 0 : i32, d1_zero_before = 0 : i32, d1_zero_after = 0 : i32, d2_zero_before = 0 : i32, d2_zero_after = 0 : i32, enable_packet = 0 : i32, packet_id = 0 : i32, packet_type = 0 : i32, out_of_order_id = 0 : i32, valid_bd = 1 : i32}
      aiex.npu.writebd {column = 3 : i32, row = 2 : i32, bd_id = 0 : i32, buffer_length = 256 : i32, buffer_offset = 28288 : i32, d0_size = 0 : i32, d0_stride = 0 : i32, d1_size = 0 : i32, d1_stride = 0 : i32, d2_size = 0 : i32, d2_stride = 0 : i32, iteration_current = 0 : i32, iteration_size = 35 : i32, iteration_stride = 255 : i32, use_next_bd = 1 : i32, next_bd = 0 : i32, lock_acq_enable = 1 : i32, lock_acq_id = 0 : i32, lock_acq_val = -1 : i32, lock_rel_id = 1 : i32, lock_rel_val = 1 : i32, d0_zero_before = 0 : i32, d0_zero_after = 0 : i32, d1_zero_before = 0 : i32, d1_zero_after = 0 : i32, d2_zero_before = 0 : i32, d2_zero_after = 0 : i32, enable_packet = 0 : i32, packet_id = 0 : i32, packet_type = 0 : i32, out_of_order_id = 0 : i32, valid_bd = 1 : i32}
      aiex.npu.writebd {column = 3 : i32, row = 2 : i32, bd_id = 1 : i32, buffer_length = 128 : i32, buffer_offset = 16000 : i32, d0_size = 0 : i32, d0_stride = 0 : i32, d1_size = 0 : i32, d1_stride = 0 : i32, d2_size = 0 : i32, d2_stride = 0 : i32, iteration_current = 0 : i32, iteration_size = 23 : i32, iteration_stride = 127 : i32, use_next_bd = 1 : i32, next_bd = 1 : i32, lock_acq_enable = 1 : i32, lock_acq_id = 2 : i32, lock_acq_val = -1 : i32, lock_rel_id = 3 : i32, lock_rel_val = 1 : i32, d0_zero_before = 0 : i32, d0_zero_after = 0 : i32, d1_zero_before = 0 : i32, d1_zero_after = 0 : i32, d2_zero_before = 0 : i32, d2_zero_after = 0 : i32, enable_packet = 0 : i32, packet_id = 0 : i32, packet_type = 0 : i32, out_of_order_id = 0 : i32, valid_bd = 1 : i32}
      aiex.npu.writebd {column = 3 : i32, row = 2 : i32, bd_id = 2 : i32, buffer_length = 28 : i32, buffer_offset = 9728 : i32, d0_size = 0 : i32, d0_stride = 0 : i32, d1_size = 0 : i32, d1_stride = 0 : i32, d2_size = 0 : i32, d2_stride = 0 : i32, iteration_current = 0 : i32, iteration_size = 55 : i32, iteration_stride = 27 : i32, use_next_bd = 1 : i32, next_bd = 2 : i32, lock_acq_enable = 1 : i32, lock_acq_id = 5 : i32, lock_acq_val = -1 : i32, lock_rel_id = 4 : i32, lock_rel_val = 1 : i32, d0_zero_before = 0 : i32, d0_zero_after = 0 : i32, d1_zero_before = 0 : i32, d1_zero_after = 0 : i32, d2_zero_before = 0 : i32, d2_zero_after = 0 : i32, enable_packet = 0 : i32, packet_id = 0 : i32, packet_type = 0 : i32, out_of_order_id = 0 : i32, valid_bd = 1 : i32}
      aiex.npu.writebd {column = 3 : i32, row = 3 : i32, bd_id = 0 : i32, buffer_length = 256 : i32, buffer_offset = 28288 : i32, d0_size = 0 : i32, d0_stride = 0 : i32, d1_size = 0 : i32, d1_stride = 0 : i32, d2_size = 0 : i32, d2_stride = 0 : i32, iteration_current = 0 : i32, iteration_size = 35 : i32, iteration_stride = 255 : i32, use_next_bd = 1 : i32, next_bd = 0 : i32, lock_acq_enable = 1 : i32, lock_acq_id = 0 : i32, lock_acq_val = -1 : i32, lock_rel_id = 1 : i32, lock_rel_val = 1 : i32, d0_zero_before = 0 : i32, d0_zero_after = 0 : i32, d1_zero_before = 0 : i32, d1_zero_after = 0 : i32, d2_zero_before = 0 : i32, d2_zero_after = 0 : i32, enable_packet = 0 : i32, packet_id = 0 : i32, packet_type = 0 : i32, out_of_order_id = 0 : i32, valid_bd = 1 : i32}
      aiex.npu.writebd {column = 3 : i32, row = 3 : i32, bd_id = 1 : i32, buffer_length = 128 : i32, buffer_offset = 16000 : i32, d0_size = 0 : i32, d0_stride = 0 : i32, d1_size = 0 : i32, d1_stride = 0 : i32, d2_size = 0 : i32, d2_stride = 0 : i32, iteration_current = 0 : i32, iteration_size = 23 : i32, iteration_stride = 127 : i32, use_next_bd = 1 : i32, next_bd = 1 : i32, lock_acq_enable = 1 : i32, lock_acq_id = 2 : i32, lock_acq_val = -1 : i32, lock_rel_id = 3 : i32, lock_rel_val = 1 : i32, d0_zero_before = 0 : i32, d0_zero_after = 0 : i32, d1_zero_before = 0 : i32, d1_zero_after = 0 : i32, d2_zero_before = 0 : i32, d2_zero_after = 0 : i32, enable_packet = 0 : i32, packet_id = 0 : i32, packet_type = 0 : i32, out_of_order_id = 0 : i32, valid_bd = 1 : i32}
      aiex.npu.writebd {column = 3 : i32, row = 3 : i32, bd_id = 2 : i32, buffer_length = 28 : i32, buffer_offset = 9728 : i32, d0_size = 0 : i32, d0_stride = 0 : i32, d1_size = 0 : i32, d1_stride = 0 : i32, d2_size = 0 : i32, d2_stride = 0 : i32, iteration_current = 0 : i32, iteration_size = 55 : i32, iteration_stride = 27 : i32, use_next_bd = 1 : i32, next_bd = 2 : i32, lock_acq_enable = 1 : i32, lock_acq_id = 5 : i32, lock_acq_val = -1 : i32, lock_rel_id = 4 : i32, lock_rel_val = 1 : i32, d0_zero_before = 0 : i32, d0_zero_after = 0 : i32, d1_zero_before = 0 : i32, d1_zero_after = 0 : i32, d2_zero_before = 0 : i32, d2_zero_after = 0 : i32, enable_packet = 0 : i32, packet_id = 0 : i32, packet_type = 0 : i32, out_of_order_id = 0 : i32, valid_bd = 1 : i32}
      aiex.npu.writebd {column = 3 : i32, row = 4 : i32, bd_id = 0 : i32, buffer_length = 256 : i32, buffer_offset = 28288 : i32, d0_size = 0 : i32, d0_stride = 0 : i32, d1_size = 0 : i32, d1_stride = 0 : i32, d2_size = 0 : i32, d2_stride = 0 : i32, iteration_current = 0 : i32, iteration_size = 35 : i32, iteration_stride = 255 : i32, use_next_bd = 1 : i32, next_bd = 0 : i32, lock_acq_enable = 1 : i32, lock_acq_id = 0 : i32, lock_acq_val = -1 : i32, lock_rel_id = 1 : i32, lock_rel_val = 1 : i32, d0_zero_before = 0 : i32, d0_zero_after = 0 : i32, d1_zero_before = 0 : i32, d1_zero_after = 0 : i32, d2_zero_before = 0 : i32, d2_zero_after = 0 : i32, enable_packet = 0 : i32, packet_id = 0 : i32, packet_type = 0 : i32, out_of_order_id = 0 : i32, valid_bd = 1 : i32}
      aiex.npu.writebd {column = 3 : i32, row = 4 : i32, bd_id = 1 : i32, buffer_length = 128 : i32, buffer_offset = 16000 : i32, d0_size = 0 : i32, d0_stride = 0 : i32, d1_size = 0 : i32, d1_stride = 0 : i32, d2_size = 0 : i32, d2_stride = 0 : i32, iteration_current = 0 : i32, iteration_size = 23 : i32, iteration_stride = 127 : i32, use_next_bd = 1 : i32, next_bd = 1 : i32, lock_acq_enable = 1 : i32, lock_acq_id = 2 : i32, lock_acq_val = -1 : i32, lock_rel_id = 3 : i32, lock_rel_val = 1 : i32, d0_zero_before = 0 : i32, d0_zero_after = 0 : i32, d1_zero_before = 0 : i32, d1_zero_after = 0 : i32, d2_zero_before = 0 : i32, d2_zero_after = 0 : i32, enable_packet = 0 : i32, packet_id = 0 : i32, packet_type = 0 : i32, out_of_order_id = 0 : i32, valid_bd = 1 : i32}
      aiex.npu.writebd {column = 3 : i32, row = 4 : i32, bd_id = 2 : i32, buffer_length = 28 : i32, buffer_offset = 9728 : i32, d0_size = 0 : i32, d0_stride = 0 : i32, d1_size = 0 : i32, d1_stride = 0 : i32, d2_size = 0 : i32, d2_stride = 0 : i32, iteration_current = 0 : i32, iteration_size = 55 : i32, iteration_stride = 27 : i32, use_next_bd = 1 : i32, next_bd = 2 : i32, lock_acq_enable = 1 : i32, lock_acq_id = 5 : i32, lock_acq_val = -1 : i32, lock_rel_id = 4 : i32, lock_rel_val = 1 : i32, d0_zero_before = 0 : i32, d0_zero_after = 0 : i32, d1_zero_before = 0 : i32, d1_zero_after = 0 : i32, d2_zero_before = 0 : i32, d2_zero_after = 0 : i32, enable_packet = 0 : i32, packet_id = 0 : i32, packet_type = 0 : i32, out_of_order_id = 0 : i32, valid_bd = 1 : i32}
      aiex.npu.writebd {column = 3 : i32, row = 5 : i32, bd_id = 0 : i32, buffer_length = 256 : i32, buffer_offset = 28288 : i32, d0_size = 0 : i32, d0_stride = 0 : i32, d1_size = 0 : i32, d1_stride = 0 : i32, d2_size = 0 : i32, d2_stride = 0 : i32, iteration_current = 0 : i32, iteration_size = 35 : i32, iteration_stride = 255 : i32, use_next_bd = 1 : i32, next_bd = 0 : i32, lock_acq_enable = 1 : i32, lock_acq_id = 0 : i32, lock_acq_val = -1 : i32, lock_rel_id = 1 : i32, lock_rel_val = 1 : i32, d0_zero_before = 0 : i32, d0_zero_after = 0 : i32, d1_zero_before = 0 : i32, d1_zero_after = 0 : i32, d2_zero_before = 0 : i32, d2_zero_after = 0 : i32, enable_packet = 0 : i32, packet_id = 0 : i32, packet_type = 0 : i32, out_of_order_id = 0 : i32, valid_bd = 1 : i32}
      aiex.npu.writebd {column = 3 : i32, row = 5 : i32, bd_id = 1 : i32, buffer_length = 128 : i32, buffer_offset = 16000 : i32, d0_size = 0 : i32, d0_stride = 0 : i32, d1_size = 0 : i32, d1_stride = 0 : i32, d2_size = 0 : i32, d2_stride = 0 : i32, iteration_current = 0 : i32, iteration_size = 23 : i32, iteration_stride = 127 : i32, use_next_bd = 1 : i32, next_bd = 1 : i32, lock_acq_enable = 1 : i32, lock_acq_id = 2 : i32, lock_acq_val = -1 : i32, lock_rel_id = 3 : i32, lock_rel_val = 1 : i32, d0_zero_before = 0 : i32, d0_zero_after = 0 : i32, d1_zero_before = 0 : i32, d1_zero_after = 0 : i32, d2_zero_before = 0 : i32, d2_zero_after = 0 : i32, enable_packet = 0 : i32, packet_id = 0 : i32, packet_type = 0 : i32, out_of_order_id = 0 : i32, valid_bd = 1 : i32}
      aiex.npu.writebd {column = 3 : i32, row = 5 : i32, bd_id = 2 : i32, buffer_length = 28 : i32, buffer_offset = 9728 : i32, d0_size = 0 : i32, d0_stride = 0 : i32, d1_size = 0 : i32, d1_stride = 0 : i32, d2_size = 0 : i32, d2_stride = 0 : i32, iteration_current = 0 : i32, iteration_size = 55 : i32, iteration_stride = 27 : i32, use_next_bd = 1 : i32, next_bd = 2 : i32, lock_acq_enable = 1 : i32, lock_acq_id = 5 : i32, lock_acq_val = -1 : i32, lock_rel_id = 4 : i32, lock_rel_val = 1 : i32, d0_zero_before = 0 : i32, d0_zero_after = 0 : i32, d1_zero_before = 0 : i32, d1_zero_after = 0 : i32, d2_zero_before = 0 : i32, d2_zero_after = 0 : i32, enable_packet = 0 : i32, packet_id = 0 : i32, packet_type = 0 : i32, out_of_order_id = 0 : i32, valid_bd = 1 : i32}
      aiex.npu.writebd {column = 0 : i32, row = 1 : i32, bd_id = 23 : i32, buffer_length = 2048 : i32, buffer_offset = 131072 : i32, d0_size = 0 : i32, d0_stride = 0 : i32, d1_size = 0 : i32, d1_stride = 0 : i32, d2_size = 0 : i32, d2_stride = 0 : i32, iteration_current = 0 : i32, iteration_size = 61 : i32, iteration_stride = 2047 : i32, use_next_bd = 1 : i32, next_bd = 23 : i32, lock_acq_enable = 1 : i32, lock_acq_id = 64 : i32, lock_acq_val = -1 : i32, lock_rel_id = 65 : i32, lock_rel_val = 1 : i32, d0_zero_before = 0 : i32, d0_zero_after = 0 : i32, d1_zero_before = 0 : i32, d1_zero_after = 0 : i32, d2_zero_before = 0 : i32, d2_zero_after = 0 : i32, enable_packet = 0 : i32, packet_id = 0 : i32, packet_type = 0 : i32, out_of_order_id = 0 : i32, valid_bd = 1 : i32}
      aiex.npu.writebd {column = 0 : i32, row = 1 : i32, bd_id = 47 : i32, buffer_length = 2048 : i32, buffer_offset = 131072 : i32, d0_size = 0 : i32, d0_stride = 0 : i32, d1_size = 0 : i32, d1_stride = 0 : i32, d2_size = 0 : i32, d2_stride = 0 : i32, iteration_current = 0 : i32, iteration_size = 61 : i32, iteration_stride = 2047 : i32, use_next_bd = 1 : i32, next_bd = 47 : i32, lock_acq_enable = 1 : i32, lock_acq_id = 65 : i32, lock_acq_val = -1 : i32, lock_rel_id = 64 : i32, lock_rel_val = 1 : i32, d0_zero_before = 0 : i32, d0_zero_after = 0 : i32, d1_zero_before = 0 : i32, d1_zero_after = 0 : i32, d2_zero_before = 0 : i32, d2_zero_after = 0 : i32, enable_packet = 0 : i32, packet_id = 0 : i32, packet_type = 0 : i32, out_of_order_id = 0 : i32, valid_bd = 1 : i32}
      aiex.npu.writebd {column = 1 : i32, row = 1 : i32, bd_id = 23 : i32, buffer_length = 2048 : i32, buffer_offset = 131072 : i32, d0_size = 0 : i32, d0_stride = 0 : i32, d1_size = 0 : i32, d1_stride = 0 : i32, d2_size = 0 : i32, d2_stride = 0 : i32, iteration_current = 0 : i32, iteration_size = 61 : i32, iteration_stride = 2047 : i32, use_next_bd = 1 : i32, next_bd = 23 : i32, lock_acq_enable = 1 : i32, lock_acq_id = 64 : i32, lock_acq_val = -1 : i32, lock_rel_id = 65 : i32, lock_rel_val = 1 : i32, d0_zero_before = 0 : i32, d0_zero_after = 0 : i32, d1_zero_before = 0 : i32, d1_zero_after = 0 : i32, d2_zero_before = 0 : i32, d2_zero_after = 0 : i32, enable_packet = 0 : i32, packet_id = 0 : i32, packet_type = 0 : i32, out_of_order_id = 0 : i32, valid_bd = 1 : i32}
      aiex.npu.writebd {column = 1 : i32, row = 1 : i32, bd_id = 47 : i32, buffer_length = 2048 : i32, buffer_offset = 131072 : i32, d0_size = 0 : i32, d0_stride = 0 : i32, d1_size = 0 : i32, d1_stride = 0 : i32, d2_size = 0 : i32, d2_stride = 0 : i32, iteration_current = 0 : i32, iteration_size = 61 : i32, iteration_stride = 2047 : i32, use_next_bd = 1 : i32, next_bd = 47 : i32, lock_acq_enable = 1 : i32, lock_acq_id = 65 : i32, lock_acq_val = -1 : i32, lock_rel_id = 64 : i32, lock_rel_val = 1 : i32, d0_zero_before = 0 : i32, d0_zero_after = 0 : i32, d1_zero_before = 0 : i32, d1_zero_after = 0 : i32, d2_zero_before = 0 : i32, d2_zero_after = 0 : i32, enable_packet = 0 : i32, packet_id = 0 : i32, packet_type = 0 : i32, out_of_order_id = 0 : i32, valid_bd = 1 : i32}
      aiex.npu.writebd {column = 2 : i32, row = 1 : i32, bd_id = 23 : i32, buffer_length = 2048 : i32, buffer_offset = 131072 : i32, d0_size = 0 : i32, d0_stride = 0 : i32, d1_size = 0 : i32, d1_stride = 0 : i32, d2_size = 0 : i32, d2_stride = 0 : i32, iteration_current = 0 : i32, iteration_size = 61 : i32, iteration_stride = 2047 : i32, use_next_bd = 1 : i32, next_bd = 23 : i32, lock_acq_enable = 1 : i32, lock_acq_id = 64 : i32, lock_acq_val = -1 : i32, lock_rel_id = 65 : i32, lock_rel_val = 1 : i32, d0_zero_before = 0 : i32, d0_zero_after = 0 : i32, d1_zero_before = 0 : i32, d1_zero_after = 0 : i32, d2_zero_before = 0 : i32, d2_zero_after = 0 : i32, enable_packet = 0 : i32, packet_id = 0 : i32, packet_type = 0 : i32, out_of_order_id = 0 : i32, valid_bd = 1 : i32}
      aiex.npu.writebd {column = 2 : i32, row = 1 : i32, bd_id = 47 : i32, buffer_length = 2048 : i32, buffer_offset = 131072 : i32, d0_size = 0 : i32, d0_stride = 0 : i32, d1_size = 0 : i32, d1_stride = 0 : i32, d2_size = 0 : i32, d2_stride = 0 : i32, iteration_current = 0 : i32, iteration_size = 61 : i32, iteration_stride = 2047 : i32, use_next_bd = 1 : i32, next_bd = 47 : i32, lock_acq_enable = 1 : i32, lock_acq_id = 65 : i32, lock_acq_val = -1 : i32, lock_rel_id = 64 : i32, lock_rel_val = 1 : i32, d0_zero_before = 0 : i32, d0_zero_after = 0 : i32, d1_zero_before = 0 : i32, d1_zero_after = 0 : i32, d2_zero_before = 0 : i32, d2_zero_after = 0 : i32, enable_packet = 0 : i32, packet_id = 0 : i32, packet_type = 0 : i32, out_of_order_id = 0 : i32, valid_bd = 1 : i32}
      aiex.npu.writebd {column = 3 : i32, row = 1 : i32, bd_id = 23 : i32, buffer_length = 2048 : i32, buffer_offset = 131072 : i32, d0_size = 0 : i32, d0_stride = 0 : i32, d1_size = 0 : i32, d1_stride = 0 : i32, d2_size = 0 : i32, d2_stride = 0 : i32, iteration_current = 0 : i32, iteration_size = 61 : i32, iteration_stride = 2047 : i32, use_next_bd = 1 : i32, next_bd = 23 : i32, lock_acq_enable = 1 : i32, lock_acq_id = 64 : i32, lock_acq_val = -1 : i32, lock_rel_id = 65 : i32, lock_rel_val = 1 : i32, d0_zero_before = 0 : i32, d0_zero_after = 0 : i32, d1_zero_before = 0 : i32, d1_zero_after = 0 : i32, d2_zero_before = 0 : i32, d2_zero_after = 0 : i32, enable_packet = 0 : i32, packet_id = 0 : i32, packet_type = 0 : i32, out_of_order_id = 0 : i32, valid_bd = 1 : i32}
      aiex.npu.writebd {column = 3 : i32, row = 1 : i32, bd_id = 47 : i32, buffer_length = 2048 : i32, buffer_offset = 131072 : i32, d0_size = 0 : i32, d0_stride = 0 : i32, d1_size = 0 : i32, d1_stride = 0 : i32, d2_size = 0 : i32, d2_stride = 0 : i32, iteration_current = 0 : i32, iteration_size = 61 : i32, iteration_stride = 2047 : i32, use_next_bd = 1 : i32, next_bd = 47 : i32, lock_acq_enable = 1 : i32, lock_acq_id = 65 : i32, lock_acq_val = -1 : i32, lock_rel_id = 64 : i32, lock_rel_val = 1 : i32, d0_zero_before = 0 : i32, d0_zero_after = 0 : i32, d1_zero_before = 0 : i32, d1_zero_after = 0 : i32, d2_zero_before = 0 : i32, d2_zero_after = 0 : i32, enable_packet = 0 : i32, packet_id = 0 : i32, packet_type = 0 : i32, out_of_order_id = 0 : i32, valid_bd = 1 : i32}
      aiex.npu.push_queue(0, 2, S2MM : 0) {bd_id = 0 : i32, issue_token = false, repeat_count = 0 : i32}
      aiex.npu.push_queue(0, 2, S2MM : 1) {bd_id = 1 : i32, issue_token = false, repeat_count = 0 : i32}
      aiex.npu.push_queue(0, 2, MM2S : 0) {bd_id = 2 : i32, issue_token = false, repeat_count = 0 : i32}
      aiex.npu.push_queue(0, 3, S2MM : 0) {bd_id = 0 : i32, issue_token = false, repeat_count = 0 : i32}
      aiex.npu.push_queue(0, 3, S2MM : 1) {bd_id = 1 : i32, issue_token = false, repeat_count = 0 : i32}
      aiex.npu.push_queue(0, 3, MM2S : 0) {bd_id = 2 : i32, issue_token = false, repeat_count = 0 : i32}
      aiex.npu.push_queue(0, 4, S2MM : 0) {bd_id = 0 : i32, issue_token = false, repeat_count = 0 : i32}
      aiex.npu.push_queue(0, 4, S2MM : 1) {bd_id = 1 : i32, issue_token = false, repeat_count = 0 : i32}
      aiex.npu.push_queue(0, 4, MM2S : 0) {bd_id = 2 : i32, issue_token = false, repeat_count = 0 : i32}
      aiex.npu.push_queue(0, 5, S2MM : 0) {bd_id = 0 : i32, issue_token = false, repeat_count = 0 : i32}
      aiex.npu.push_queue(0, 5, S2MM : 1) {bd_id = 1 : i32, issue_token = false, repeat_count = 0 : i32}
      aiex.npu.push_queue(0, 5, MM2S : 0) {bd_id = 2 : i32, issue_token = false, repeat_count = 0 : i32}
      aiex.npu.push_queue(1, 2, S2MM : 0) {bd_id = 0 : i32, issue_token = false, repeat_count = 0 : i32}
      aiex.npu.push_queue(1, 2, S2MM : 1) {bd_id = 1 : i32, issue_token = false, repeat_count = 0 : i32}
      aiex.npu.push_queue(1, 2, MM2S : 0) {bd_id = 2 : i32, issue_token = false, repeat_count = 0 : i32}
      aiex.npu.push_queue(1, 3, S2MM : 0) {bd_id = 0 : i32, issue_token = false, repeat_count = 0 : i32}
      aiex.npu.push_queue(1, 3, S2MM : 1) {bd_id = 1 : i32, issue_token = false, repeat_count = 0 : i32}
      aiex.npu.push_queue(1, 3, MM2S : 0) {bd_id = 2 : i32, issue_token = false, repeat_count = 0 : i32}
      aiex.npu.push_queue(1, 4, S2MM : 0) {bd_id = 0 : i32, issue_token = false, repeat_count = 0 : i32}
      aiex.npu.push_queue(1, 4, S2MM : 1) {bd_id = 1 : i32, issue_token = false, repeat_count = 0 : i32}
      aiex.npu.push_queue(1, 4, MM2S : 0) {bd_id = 2 : i32, issue_token = false, repeat_count = 0 : i32}
      aiex.npu.push_queue(1, 5, S2MM : 0) {bd_id = 0 : i32, issue_token = false, repeat_count = 0 : i32}
      aiex.npu.push_queue(1, 5, S2MM : 1) {bd_id = 1 : i32, issue_token = false, repeat_count = 0 : i32}
      aiex.npu.push_queue(1, 5, MM2S : 0) {bd_id = 2 : i32, issue_token = false, repeat_count = 0 : i32}
      aiex.npu.push_queue(2, 2, S2MM : 0) {bd_id = 0 : i32, issue_token = false, repeat_count = 0 : i32}
      aiex.npu.push_queue(2, 2, S2MM : 1) {bd_id = 1 : i32, issue_token = false, repeat_count = 0 : i32}
      aiex.npu.push_queue(2, 2, MM2S : 0) {bd_id = 2 : i32, issue_token = false, repeat_count = 0 : i32}
      aiex.npu.push_queue(2, 3, S2MM : 0) {bd_id = 0 : i32, issue_token = false, repeat_count = 0 : i32}
      aiex.npu.push_queue(2, 3, S2MM : 1) {bd_id = 1 : i32, issue_token = false, repeat_count = 0 : i32}
      aiex.npu.push_queue(2, 3, MM2S : 0) {bd_id = 2 : i32, issue_token = false, repeat_count = 0 : i32}
      aiex.npu.push_queue(2, 4, S2MM : 0) {bd_id = 0 : i32, issue_token = false, repeat_count = 0 : i32}
      aiex.npu.push_queue(2, 4, S2MM : 1) {bd_id = 1 : i32, issue_token = false, repeat_count = 0 : i32}
      aiex.npu.push_queue(2, 4, MM2S : 0) {bd_id = 2 : i32, issue_token = false, repeat_count = 0 : i32}
      aiex.npu.push_queue(2, 5, S2MM : 0) {bd_id = 0 : i32, issue_token = false, repeat_count = 0 : i32}
      aiex.npu.push_queue(2, 5, S2MM : 1) {bd_id = 1 : i32, issue_token = false, repeat_count = 0 : i32}
      aiex.npu.push_queue(2, 5, MM2S : 0) {bd_id = 2 : i32, issue_token = false, repeat_count = 0 : i32}
      aiex.npu.push_queue(3, 2, S2MM : 0) {bd_id = 0 : i32, issue_token = false, repeat_count = 0 : i32}
      aiex.npu.push_queue(3, 2, S2MM : 1) {bd_id = 1 : i32, issue_token = false, repeat_count = 0 : i32}
      aiex.npu.push_queue(3, 2, MM2S : 0) {bd_id = 2 : i32, issue_token = false, repeat_count = 0 : i32}
      aiex.npu.push_queue(3, 3, S2MM : 0) {bd_id = 0 : i32, issue_token = false, repeat_count = 0 : i32}
      aiex.npu.push_queue(3, 3, S2MM : 1) {bd_id = 1 : i32, issue_token = false, repeat_count = 0 : i32}
      aiex.npu.push_queue(3, 3, MM2S : 0) {bd_id = 2 : i32, issue_token = false, repeat_count = 0 : i32}
      aiex.npu.push_queue(3, 4, S2MM : 0) {bd_id = 0 : i32, issue_token = false, repeat_count = 0 : i32}
      aiex.npu.push_queue(3, 4, S2MM : 1) {bd_id = 1 : i32, issue_token = false, repeat_count = 0 : i32}
      aiex.npu.push_queue(3, 4, MM2S : 0) {bd_id = 2 : i32, issue_token = false, repeat_count = 0 : i32}
      aiex.npu.push_queue(3, 5, S2MM : 0) {bd_id = 0 : i32, issue_token = false, repeat_count = 0 : i32}
      aiex.npu.push_queue(3, 5, S2MM : 1) {bd_id = 1 : i32, issue_token = false, repeat_count = 0 : i32}
      aiex.npu.push_queue(3, 5, MM2S : 0) {bd_id = 2 : i32, issue_token = false, repeat_count = 0 : i32}
      aiex.npu.write32 {address = 656916 : ui32, column = 0 : i32, row = 1 : i32, value = 23 : ui32}
      aiex.npu.write32 {address = 656956 : ui32, column = 0 : i32, row = 1 : i32, value = 47 : ui32}
      aiex.npu.write32 {address = 656916 : ui32, column = 1 : i32, row = 1 : i32, value = 23 : ui32}
      aiex.npu.write32 {address = 656956 : ui32, column = 1 : i32, row = 1 : i32, value = 47 : ui32}
      aiex.npu.write32 {address = 656916 : ui32, column = 2 : i32, row = 1 : i32, value = 23 : ui32}
      aiex.npu.write32 {address = 656956 : ui32, column = 2 : i32, row = 1 : i32, value = 47 : ui32}
      aiex.npu.write32 {address = 656916 : ui32, column = 3 : i32, row = 1 : i32, value = 23 : ui32}
      aiex.npu.write32 {address = 656956 : ui32, column = 3 : i32, row = 1 : i32, value = 47 : ui32}
      aiex.npu.push_queue(0, 0, MM2S : 1) {bd_id = 0 : i32, issue_token = false, repeat_count = 0 : i32}
      aiex.npu.push_queue(1, 0, MM2S : 1) {bd_id = 0 : i32, issue_token = false, repeat_count = 0 : i32}
      aiex.npu.push_queue(2, 0, MM2S : 1) {bd_id = 0 : i32, issue_token = false, repeat_count = 0 : i32}
      aiex.npu.push_queue(3, 0, MM2S : 1) {bd_id = 0 : i32, issue_token = false, repeat_count = 0 : i32}
      aiex.npu.write32 {address = 656932 : ui32, column = 0 : i32, row = 1 : i32, value = 0 : ui32}
      aiex.npu.write32 {address = 656932 : ui32, column = 1 : i32, row = 1 : i32, value = 0 : ui32}
      aiex.npu.write32 {address = 656932 : ui32, column = 2 : i32, row = 1 : i32, value = 0 : ui32}
      aiex.npu.write32 {address = 656932 : ui32, column = 3 : i32, row = 1 : i32, value = 0 : ui32}
      aiex.npu.write32 {address = 656940 : ui32, column = 1 : i32, row = 1 : i32, value = 24 : ui32}
      aiex.npu.write32 {address = 656940 : ui32, column = 2 : i32, row = 1 : i32, value = 24 : ui32}
      aiex.npu.write32 {address = 656972 : ui32, column = 1 : i32, row = 1 : i32, value = 27 : ui32}
      aiex.npu.write32 {address = 656972 : ui32, column = 2 : i32, row = 1 : i32, value = 27 : ui32}
      aiex.npu.push_queue(0, 0, MM2S : 0) {bd_id = 1 : i32, issue_token = false, repeat_count = 0 : i32}
      aiex.npu.push_queue(1, 0, MM2S : 0) {bd_id = 1 : i32, issue_token = false, repeat_count = 0 : i32}
      aiex.npu.push_queue(2, 0, MM2S : 0) {bd_id = 1 : i32, issue_token = false, repeat_count = 0 : i32}
      aiex.npu.push_queue(3, 0, MM2S : 0) {bd_id = 1 : i32, issue_token = false, repeat_count = 0 : i32}
      aiex.npu.write32 {address = 656948 : ui32, column = 0 : i32, row = 1 : i32, value = 2147483649 : ui32}
      aiex.npu.write32 {address = 656948 : ui32, column = 1 : i32, row = 1 : i32, value = 2147483651 : ui32}
      aiex.npu.write32 {address = 656948 : ui32, column = 2 : i32, row = 1 : i32, value = 2147483651 : ui32}
      aiex.npu.write32 {address = 656948 : ui32, column = 3 : i32, row = 1 : i32, value = 2147483649 : ui32}
      aiex.npu.write32 {address = 656908 : ui32, column = 1 : i32, row = 1 : i32, value = 2147483676 : ui32}
      aiex.npu.write32 {address = 656924 : ui32, column = 1 : i32, row = 1 : i32, value = 2147483677 : ui32}
      aiex.npu.write32 {address = 656908 : ui32, column = 2 : i32, row = 1 : i32, value = 2147483676 : ui32}
      aiex.npu.write32 {address = 656924 : ui32, column = 2 : i32, row = 1 : i32, value = 2147483677 : ui32}
    }
    aie.runtime_sequence @infer(%weights: memref<12288xi32>, %input: memref<400xi32>, %output: memref<400xi32>, %scratch: memref<1xi32>) {
      // item 0: conv0
      // item 1: conv1
      // item 2: end
      aiex.npu.push_queue(0, 0, MM2S : 0) {bd_id = 1 : i32, issue_token = false, repeat_count = 0 : i32}
      aiex.npu.write32 {address = 786512 : ui32, column = 0 : i32, row = 1 : i32, value = 1 : ui32}
      aiex.npu.writebd {column = 1 : i32, row = 0 : i32, bd_id = 2 : i32, buffer_length = 200 : i32, buffer_offset = 0 : i32, d0_size = 0 : i32, d0_stride = 0 : i32, d1_size = 0 : i32, d1_stride = 0 : i32, d2_size = 0 : i32, d2_stride = 0 : i32, iteration_current = 0 : i32, iteration_size = 0 : i32, iteration_stride = 0 : i32, use_next_bd = 0 : i32, next_bd = 0 : i32, lock_acq_enable = 0 : i32, lock_acq_id = 0 : i32, lock_acq_val = 0 : i32, lock_rel_id = 0 : i32, lock_rel_val = 0 : i32, d0_zero_before = 0 : i32, d0_zero_after = 0 : i32, d1_zero_before = 0 : i32, d1_zero_after = 0 : i32, d2_zero_before = 0 : i32, d2_zero_after = 0 : i32, enable_packet = 0 : i32, packet_id = 0 : i32, packet_type = 0 : i32, out_of_order_id = 0 : i32, valid_bd = 1 : i32}
      aiex.npu.address_patch {addr = 33673284 : ui32, arg_idx = 1 : i32, arg_plus = 0 : i32}
      aiex.npu.writebd {column = 1 : i32, row = 0 : i32, bd_id = 3 : i32, buffer_length = 240 : i32, buffer_offset = 0 : i32, d0_size = 0 : i32, d0_stride = 0 : i32, d1_size = 0 : i32, d1_stride = 0 : i32, d2_size = 0 : i32, d2_stride = 0 : i32, iteration_current = 0 : i32, iteration_size = 0 : i32, iteration_stride = 0 : i32, use_next_bd = 1 : i32, next_bd = 2 : i32, lock_acq_enable = 0 : i32, lock_acq_id = 0 : i32, lock_acq_val = 0 : i32, lock_rel_id = 0 : i32, lock_rel_val = 0 : i32, d0_zero_before = 0 : i32, d0_zero_after = 0 : i32, d1_zero_before = 0 : i32, d1_zero_after = 0 : i32, d2_zero_before = 0 : i32, d2_zero_after = 0 : i32, enable_packet = 0 : i32, packet_id = 0 : i32, packet_type = 0 : i32, out_of_order_id = 0 : i32, valid_bd = 1 : i32}
      aiex.npu.address_patch {addr = 33673316 : ui32, arg_idx = 1 : i32, arg_plus = 0 : i32}
      aiex.npu.push_queue(1, 0, MM2S : 0) {bd_id = 3 : i32, issue_token = false, repeat_count = 0 : i32}
      aiex.npu.push_queue(1, 0, MM2S : 0) {bd_id = 1 : i32, issue_token = false, repeat_count = 0 : i32}
      aiex.npu.write32 {address = 786512 : ui32, column = 1 : i32, row = 1 : i32, value = 3 : ui32}
      aiex.npu.writebd {column = 1 : i32, row = 1 : i32, bd_id = 4 : i32, buffer_length = 1 : i32, buffer_offset = 258048 : i32, d0_size = 0 : i32, d0_stride = 0 : i32, d1_size = 0 : i32, d1_stride = 0 : i32, d2_size = 0 : i32, d2_stride = 0 : i32, iteration_current = 0 : i32, iteration_size = 0 : i32, iteration_stride = 0 : i32, use_next_bd = 0 : i32, next_bd = 0 : i32, lock_acq_enable = 1 : i32, lock_acq_id = 67 : i32, lock_acq_val = -1 : i32, lock_rel_id = 131 : i32, lock_rel_val = 1 : i32, d0_zero_before = 0 : i32, d0_zero_after = 0 : i32, d1_zero_before = 0 : i32, d1_zero_after = 0 : i32, d2_zero_before = 0 : i32, d2_zero_after = 0 : i32, enable_packet = 0 : i32, packet_id = 0 : i32, packet_type = 0 : i32, out_of_order_id = 0 : i32, valid_bd = 1 : i32}
      aiex.npu.writebd {column = 1 : i32, row = 1 : i32, bd_id = 5 : i32, buffer_length = 1 : i32, buffer_offset = 258048 : i32, d0_size = 0 : i32, d0_stride = 0 : i32, d1_size = 0 : i32, d1_stride = 0 : i32, d2_size = 0 : i32, d2_stride = 0 : i32, iteration_current = 0 : i32, iteration_size = 0 : i32, iteration_stride = 0 : i32, use_next_bd = 1 : i32, next_bd = 4 : i32, lock_acq_enable = 1 : i32, lock_acq_id = 66 : i32, lock_acq_val = -4 : i32, lock_rel_id = 2 : i32, lock_rel_val = 1 : i32, d0_zero_before = 0 : i32, d0_zero_after = 0 : i32, d1_zero_before = 0 : i32, d1_zero_after = 0 : i32, d2_zero_before = 0 : i32, d2_zero_after = 0 : i32, enable_packet = 0 : i32, packet_id = 0 : i32, packet_type = 0 : i32, out_of_order_id = 0 : i32, valid_bd = 1 : i32}
      aiex.npu.writebd {column = 1 : i32, row = 1 : i32, bd_id = 6 : i32, buffer_length = 510 : i32, buffer_offset = 258090 : i32, d0_size = 255 : i32, d0_stride = 0 : i32, d1_size = 2 : i32, d1_stride = 0 : i32, d2_size = 0 : i32, d2_stride = 0 : i32, iteration_current = 0 : i32, iteration_size = 0 : i32, iteration_stride = 0 : i32, use_next_bd = 1 : i32, next_bd = 5 : i32, lock_acq_enable = 0 : i32, lock_acq_id = 0 : i32, lock_acq_val = 0 : i32, lock_rel_id = 0 : i32, lock_rel_val = 0 : i32, d0_zero_before = 0 : i32, d0_zero_after = 0 : i32, d1_zero_before = 0 : i32, d1_zero_after = 0 : i32, d2_zero_before = 0 : i32, d2_zero_after = 0 : i32, enable_packet = 0 : i32, packet_id = 0 : i32, packet_type = 0 : i32, out_of_order_id = 0 : i32, valid_bd = 1 : i32}
      aiex.npu.writebd {column = 1 : i32, row = 1 : i32, bd_id = 7 : i32, buffer_length = 256 : i32, buffer_offset = 261488 : i32, d0_size = 240 : i32, d0_stride = 0 : i32, d1_size = 0 : i32, d1_stride = 0 : i32, d2_size = 0 : i32, d2_stride = 0 : i32, iteration_current = 0 : i32, iteration_size = 0 : i32, iteration_stride = 0 : i32, use_next_bd = 1 : i32, next_bd = 6 : i32, lock_acq_enable = 0 : i32, lock_acq_id = 0 : i32, lock_acq_val = 0 : i32, lock_rel_id = 0 : i32, lock_rel_val = 0 : i32, d0_zero_before = 0 : i32, d0_zero_after = 16 : i32, d1_zero_before = 0 : i32, d1_zero_after = 0 : i32, d2_zero_before = 0 : i32, d2_zero_after = 0 : i32, enable_packet = 0 : i32, packet_id = 0 : i32, packet_type = 0 : i32, out_of_order_id = 0 : i32, valid_bd = 1 : i32}
      aiex.npu.write32 {address = 656948 : ui32, column = 1 : i32, row = 1 : i32, value = 7 : ui32}
      aiex.npu.writebd {column = 2 : i32, row = 0 : i32, bd_id = 2 : i32, buffer_length = 200 : i32, buffer_offset = 0 : i32, d0_size = 0 : i32, d0_stride = 0 : i32, d1_size = 0 : i32, d1_stride = 0 : i32, d2_size = 0 : i32, d2_stride = 0 : i32, iteration_current = 0 : i32, iteration_size = 0 : i32, iteration_stride = 0 : i32, use_next_bd = 0 : i32, next_bd = 0 : i32, lock_acq_enable = 0 : i32, lock_acq_id = 0 : i32, lock_acq_val = 0 : i32, lock_rel_id = 0 : i32, lock_rel_val = 0 : i32, d0_zero_before = 0 : i32, d0_zero_after = 0 : i32, d1_zero_before = 0 : i32, d1_zero_after = 0 : i32, d2_zero_before = 0 : i32, d2_zero_after = 0 : i32, enable_packet = 0 : i32, packet_id = 0 : i32, packet_type = 0 : i32, out_of_order_id = 0 : i32, valid_bd = 1 : i32}
      aiex.npu.address_patch {addr = 67227716 : ui32, arg_idx = 1 : i32, arg_plus = 800 : i32}
      aiex.npu.writebd {column = 2 : i32, row = 0 : i32, bd_id = 3 : i32, buffer_length = 160 : i32, buffer_offset = 0 : i32, d0_size = 0 : i32, d0_stride = 0 : i32, d1_size = 0 : i32, d1_stride = 0 : i32, d2_size = 0 : i32, d2_stride = 0 : i32, iteration_current = 0 : i32, iteration_size = 0 : i32, iteration_stride = 0 : i32, use_next_bd = 1 : i32, next_bd = 2 : i32, lock_acq_enable = 0 : i32, lock_acq_id = 0 : i32, lock_acq_val = 0 : i32, lock_rel_id = 0 : i32, lock_rel_val = 0 : i32, d0_zero_before = 0 : i32, d0_zero_after = 0 : i32, d1_zero_before = 0 : i32, d1_zero_after = 0 : i32, d2_zero_before = 0 : i32, d2_zero_after = 0 : i32, enable_packet = 0 : i32, packet_id = 0 : i32, packet_type = 0 : i32, out_of_order_id = 0 : i32, valid_bd = 1 : i32}
      aiex.npu.address_patch {addr = 67227748 : ui32, arg_idx = 1 : i32, arg_plus = 960 : i32}
      aiex.npu.push_queue(2, 0, MM2S : 0) {bd_id = 3 : i32, issue_token = false, repeat_count = 0 : i32}
      aiex.npu.write32 {address = 786512 : ui32, column = 2 : i32, row = 1 : i32, value = 3 : ui32}
      aiex.npu.write32 {address = 786512 : ui32, column = 3 : i32, row = 1 : i32, value = 1 : ui32}
      aiex.npu.sync {channel = 0 : i32, column = 0 : i32, column_num = 1 : i32, direction = 1 : i32, row = 1 : i32, row_num = 1 : i32}
      aiex.npu.writebd {column = 0 : i32, row = 1 : i32, bd_id = 2 : i32, buffer_length = 497 : i32, buffer_offset = 258048 : i32, d0_size = 0 : i32, d0_stride = 0 : i32, d1_size = 0 : i32, d1_stride = 0 : i32, d2_size = 0 : i32, d2_stride = 0 : i32, iteration_current = 0 : i32, iteration_size = 0 : i32, iteration_stride = 0 : i32, use_next_bd = 1 : i32, next_bd = 1 : i32, lock_acq_enable = 0 : i32, lock_acq_id = 0 : i32, lock_acq_val = 0 : i32, lock_rel_id = 0 : i32, lock_rel_val = 0 : i32, d0_zero_before = 0 : i32, d0_zero_after = 0 : i32, d1_zero_before = 0 : i32, d1_zero_after = 0 : i32, d2_zero_before = 0 : i32, d2_zero_after = 0 : i32, enable_packet = 0 : i32, packet_id = 0 : i32, packet_type = 0 : i32, out_of_order_id = 0 : i32, valid_bd = 1 : i32}
      aiex.npu.writebd {column = 0 : i32, row = 1 : i32, bd_id = 3 : i32, buffer_length = 8192 : i32, buffer_offset = 258048 : i32, d0_size = 512 : i32, d0_stride = 0 : i32, d1_size = 16 : i32, d1_stride = 0 : i32, d2_size = 0 : i32, d2_stride = 0 : i32, iteration_current = 0 : i32, iteration_size = 0 : i32, iteration_stride = 0 : i32, use_next_bd = 1 : i32, next_bd = 2 : i32, lock_acq_enable = 0 : i32, lock_acq_id = 0 : i32, lock_acq_val = 0 : i32, lock_rel_id = 0 : i32, lock_rel_val = 0 : i32, d0_zero_before = 0 : i32, d0_zero_after = 0 : i32, d1_zero_before = 0 : i32, d1_zero_after = 0 : i32, d2_zero_before = 0 : i32, d2_zero_after = 0 : i32, enable_packet = 0 : i32, packet_id = 0 : i32, packet_type = 0 : i32, out_of_order_id = 0 : i32, valid_bd = 1 : i32}
      aiex.npu.writebd {column = 0 : i32, row = 1 : i32, bd_id = 4 : i32, buffer_length = 1 : i32, buffer_offset = 258048 : i32, d0_size = 0 : i32, d0_stride = 0 : i32, d1_size = 0 : i32, d1_stride = 0 : i32, d2_size = 0 : i32, d2_stride = 0 : i32, iteration_current = 0 : i32, iteration_size = 0 : i32, iteration_stride = 0 : i32, use_next_bd = 1 : i32, next_bd = 3 : i32, lock_acq_enable = 1 : i32, lock_acq_id = 66 : i32, lock_acq_val = -1 : i32, lock_rel_id = 131 : i32, lock_rel_val = 1 : i32, d0_zero_before = 0 : i32, d0_zero_after = 0 : i32, d1_zero_before = 0 : i32, d1_zero_after = 0 : i32, d2_zero_before = 0 : i32, d2_zero_after = 0 : i32, enable_packet = 0 : i32, packet_id = 0 : i32, packet_type = 0 : i32, out_of_order_id = 0 : i32, valid_bd = 1 : i32}
      aiex.npu.writebd {column = 0 : i32, row = 1 : i32, bd_id = 5 : i32, buffer_length = 14 : i32, buffer_offset = 258066 : i32, d0_size = 0 : i32, d0_stride = 0 : i32, d1_size = 0 : i32, d1_stride = 0 : i32, d2_size = 0 : i32, d2_stride = 0 : i32, iteration_current = 0 : i32, iteration_size = 0 : i32, iteration_stride = 0 : i32, use_next_bd = 1 : i32, next_bd = 4 : i32, lock_acq_enable = 0 : i32, lock_acq_id = 0 : i32, lock_acq_val = 0 : i32, lock_rel_id = 0 : i32, lock_rel_val = 0 : i32, d0_zero_before = 0 : i32, d0_zero_after = 0 : i32, d1_zero_before = 0 : i32, d1_zero_after = 0 : i32, d2_zero_before = 0 : i32, d2_zero_after = 0 : i32, enable_packet = 0 : i32, packet_id = 0 : i32, packet_type = 0 : i32, out_of_order_id = 0 : i32, valid_bd = 1 : i32}
      aiex.npu.writebd {column = 0 : i32, row = 1 : i32, bd_id = 6 : i32, buffer_length = 1 : i32, buffer_offset = 258048 : i32, d0_size = 0 : i32, d0_stride = 0 : i32, d1_size = 0 : i32, d1_stride = 0 : i32, d2_size = 0 : i32, d2_stride = 0 : i32, iteration_current = 0 : i32, iteration_size = 0 : i32, iteration_stride = 0 : i32, use_next_bd = 1 : i32, next_bd = 5 : i32, lock_acq_enable = 1 : i32, lock_acq_id = 66 : i32, lock_acq_val = -1 : i32, lock_rel_id = 131 : i32, lock_rel_val = 1 : i32, d0_zero_before = 0 : i32, d0_zero_after = 0 : i32, d1_zero_before = 0 : i32, d1_zero_after = 0 : i32, d2_zero_before = 0 : i32, d2_zero_after = 0 : i32, enable_packet = 0 : i32, packet_id = 0 : i32, packet_type = 0 : i32, out_of_order_id = 0 : i32, valid_bd = 1 : i32}
      aiex.npu.writebd {column = 0 : i32, row = 1 : i32, bd_id = 7 : i32, buffer_length = 255 : i32, buffer_offset = 258057 : i32, d0_size = 0 : i32, d0_stride = 0 : i32, d1_size = 0 : i32, d1_stride = 0 : i32, d2_size = 0 : i32, d2_stride = 0 : i32, iteration_current = 0 : i32, iteration_size = 0 : i32, iteration_stride = 0 : i32, use_next_bd = 1 : i32, next_bd = 6 : i32, lock_acq_enable = 0 : i32, lock_acq_id = 0 : i32, lock_acq_val = 0 : i32, lock_rel_id = 0 : i32, lock_rel_val = 0 : i32, d0_zero_before = 0 : i32, d0_zero_after = 0 : i32, d1_zero_before = 0 : i32, d1_zero_after = 0 : i32, d2_zero_before = 0 : i32, d2_zero_after = 0 : i32, enable_packet = 0 : i32, packet_id = 0 : i32, packet_type = 0 : i32, out_of_order_id = 0 : i32, valid_bd = 1 : i32}
      aiex.npu.write32 {address = 656948 : ui32, column = 0 : i32, row = 1 : i32, value = 2147483655 : ui32}
      aiex.npu.push_queue(2, 0, MM2S : 0) {bd_id = 1 : i32, issue_token = false, repeat_count = 0 : i32}
      aiex.npu.push_queue(3, 0, MM2S : 0) {bd_id = 1 : i32, issue_token = false, repeat_count = 0 : i32}
      aiex.npu.writebd {column = 2 : i32, row = 1 : i32, bd_id = 4 : i32, buffer_length = 1 : i32, buffer_offset = 258048 : i32, d0_size = 0 : i32, d0_stride = 0 : i32, d1_size = 0 : i32, d1_stride = 0 : i32, d2_size = 0 : i32, d2_stride = 0 : i32, iteration_current = 0 : i32, iteration_size = 0 : i32, iteration_stride = 0 : i32, use_next_bd = 0 : i32, next_bd = 0 : i32, lock_acq_enable = 1 : i32, lock_acq_id = 67 : i32, lock_acq_val = -1 : i32, lock_rel_id = 131 : i32, lock_rel_val = 1 : i32, d0_zero_before = 0 : i32, d0_zero_after = 0 : i32, d1_zero_before = 0 : i32, d1_zero_after = 0 : i32, d2_zero_before = 0 : i32, d2_zero_after = 0 : i32, enable_packet = 0 : i32, packet_id = 0 : i32, packet_type = 0 : i32, out_of_order_id = 0 : i32, valid_bd = 1 : i32}
      aiex.npu.writebd {column = 2 : i32, row = 1 : i32, bd_id = 5 : i32, buffer_length = 1 : i32, buffer_offset = 258048 : i32, d0_size = 0 : i32, d0_stride = 0 : i32, d1_size = 0 : i32, d1_stride = 0 : i32, d2_size = 0 : i32, d2_stride = 0 : i32, iteration_current = 0 : i32, iteration_size = 0 : i32, iteration_stride = 0 : i32, use_next_bd = 1 : i32, next_bd = 4 : i32, lock_acq_enable = 1 : i32, lock_acq_id = 66 : i32, lock_acq_val = -4 : i32, lock_rel_id = 2 : i32, lock_rel_val = 1 : i32, d0_zero_before = 0 : i32, d0_zero_after = 0 : i32, d1_zero_before = 0 : i32, d1_zero_after = 0 : i32, d2_zero_before = 0 : i32, d2_zero_after = 0 : i32, enable_packet = 0 : i32, packet_id = 0 : i32, packet_type = 0 : i32, out_of_order_id = 0 : i32, valid_bd = 1 : i32}
      aiex.npu.writebd {column = 2 : i32, row = 1 : i32, bd_id = 6 : i32, buffer_length = 510 : i32, buffer_offset = 258090 : i32, d0_size = 255 : i32, d0_stride = 0 : i32, d1_size = 2 : i32, d1_stride = 0 : i32, d2_size = 0 : i32, d2_stride = 0 : i32, iteration_current = 0 : i32, iteration_size = 0 : i32, iteration_stride = 0 : i32, use_next_bd = 1 : i32, next_bd = 5 : i32, lock_acq_enable = 0 : i32, lock_acq_id = 0 : i32, lock_acq_val = 0 : i32, lock_rel_id = 0 : i32, lock_rel_val = 0 : i32, d0_zero_before = 0 : i32, d0_zero_after = 0 : i32, d1_zero_before = 0 : i32, d1_zero_after = 0 : i32, d2_zero_before = 0 : i32, d2_zero_after = 0 : i32, enable_packet = 0 : i32, packet_id = 0 : i32, packet_type = 0 : i32, out_of_order_id = 0 : i32, valid_bd = 1 : i32}
      aiex.npu.writebd {column = 2 : i32, row = 1 : i32, bd_id = 7 : i32, buffer_length = 256 : i32, buffer_offset = 261488 : i32, d0_size = 32 : i32, d0_stride = 0 : i32, d1_size = 5 : i32, d1_stride = 31 : i32, d2_size = 0 : i32, d2_stride = 0 : i32, iteration_current = 0 : i32, iteration_size = 0 : i32, iteration_stride = 0 : i32, use_next_bd = 1 : i32, next_bd = 6 : i32, lock_acq_enable = 0 : i32, lock_acq_id = 0 : i32, lock_acq_val = 0 : i32, lock_rel_id = 0 : i32, lock_rel_val = 0 : i32, d0_zero_before = 0 : i32, d0_zero_after = 0 : i32, d1_zero_before = 0 : i32, d1_zero_after = 3 : i32, d2_zero_before = 0 : i32, d2_zero_after = 0 : i32, enable_packet = 0 : i32, packet_id = 0 : i32, packet_type = 0 : i32, out_of_order_id = 0 : i32, valid_bd = 1 : i32}
      aiex.npu.write32 {address = 656948 : ui32, column = 2 : i32, row = 1 : i32, value = 7 : ui32}
      aiex.npu.sync {channel = 0 : i32, column = 3 : i32, column_num = 1 : i32, direction = 1 : i32, row = 1 : i32, row_num = 1 : i32}
      aiex.npu.writebd {column = 3 : i32, row = 1 : i32, bd_id = 2 : i32, buffer_length = 8688 : i32, buffer_offset = 258048 : i32, d0_size = 362 : i32, d0_stride = 0 : i32, d1_size = 24 : i32, d1_stride = 0 : i32, d2_size = 0 : i32, d2_stride = 0 : i32, iteration_current = 0 : i32, iteration_size = 0 : i32, iteration_stride = 0 : i32, use_next_bd = 1 : i32, next_bd = 1 : i32, lock_acq_enable = 0 : i32, lock_acq_id = 0 : i32, lock_acq_val = 0 : i32, lock_rel_id = 0 : i32, lock_rel_val = 0 : i32, d0_zero_before = 0 : i32, d0_zero_after = 0 : i32, d1_zero_before = 0 : i32, d1_zero_after = 0 : i32, d2_zero_before = 0 : i32, d2_zero_after = 0 : i32, enable_packet = 0 : i32, packet_id = 0 : i32, packet_type = 0 : i32, out_of_order_id = 0 : i32, valid_bd = 1 : i32}
      aiex.npu.writebd {column = 3 : i32, row = 1 : i32, bd_id = 3 : i32, buffer_length = 1 : i32, buffer_offset = 258048 : i32, d0_size = 0 : i32, d0_stride = 0 : i32, d1_size = 0 : i32, d1_stride = 0 : i32, d2_size = 0 : i32, d2_stride = 0 : i32, iteration_current = 0 : i32, iteration_size = 0 : i32, iteration_stride = 0 : i32, use_next_bd = 1 : i32, next_bd = 2 : i32, lock_acq_enable = 1 : i32, lock_acq_id = 67 : i32, lock_acq_val = -1 : i32, lock_rel_id = 0 : i32, lock_rel_val = 0 : i32, d0_zero_before = 0 : i32, d0_zero_after = 0 : i32, d1_zero_before = 0 : i32, d1_zero_after = 0 : i32, d2_zero_before = 0 : i32, d2_zero_after = 0 : i32, enable_packet = 0 : i32, packet_id = 0 : i32, packet_type = 0 : i32, out_of_order_id = 0 : i32, valid_bd = 1 : i32}
      aiex.npu.writebd {column = 3 : i32, row = 1 : i32, bd_id = 4 : i32, buffer_length = 1 : i32, buffer_offset = 258048 : i32, d0_size = 0 : i32, d0_stride = 0 : i32, d1_size = 0 : i32, d1_stride = 0 : i32, d2_size = 0 : i32, d2_stride = 0 : i32, iteration_current = 0 : i32, iteration_size = 0 : i32, iteration_stride = 0 : i32, use_next_bd = 1 : i32, next_bd = 3 : i32, lock_acq_enable = 0 : i32, lock_acq_id = 0 : i32, lock_acq_val = 0 : i32, lock_rel_id = 2 : i32, lock_rel_val = 1 : i32, d0_zero_before = 0 : i32, d0_zero_after = 0 : i32, d1_zero_before = 0 : i32, d1_zero_after = 0 : i32, d2_zero_before = 0 : i32, d2_zero_after = 0 : i32, enable_packet = 0 : i32, packet_id = 0 : i32, packet_type = 0 : i32, out_of_order_id = 0 : i32, valid_bd = 1 : i32}
      aiex.npu.writebd {column = 3 : i32, row = 1 : i32, bd_id = 5 : i32, buffer_length = 14 : i32, buffer_offset = 258066 : i32, d0_size = 0 : i32, d0_stride = 0 : i32, d1_size = 0 : i32, d1_stride = 0 : i32, d2_size = 0 : i32, d2_stride = 0 : i32, iteration_current = 0 : i32, iteration_size = 0 : i32, iteration_stride = 0 : i32, use_next_bd = 1 : i32, next_bd = 4 : i32, lock_acq_enable = 0 : i32, lock_acq_id = 0 : i32, lock_acq_val = 0 : i32, lock_rel_id = 0 : i32, lock_rel_val = 0 : i32, d0_zero_before = 0 : i32, d0_zero_after = 0 : i32, d1_zero_before = 0 : i32, d1_zero_after = 0 : i32, d2_zero_before = 0 : i32, d2_zero_after = 0 : i32, enable_packet = 0 : i32, packet_id = 0 : i32, packet_type = 0 : i32, out_of_order_id = 0 : i32, valid_bd = 1 : i32}
      aiex.npu.writebd {column = 3 : i32, row = 1 : i32, bd_id = 6 : i32, buffer_length = 1 : i32, buffer_offset = 258048 : i32, d0_size = 0 : i32, d0_stride = 0 : i32, d1_size = 0 : i32, d1_stride = 0 : i32, d2_size = 0 : i32, d2_stride = 0 : i32, iteration_current = 0 : i32, iteration_size = 0 : i32, iteration_stride = 0 : i32, use_next_bd = 1 : i32, next_bd = 5 : i32, lock_acq_enable = 1 : i32, lock_acq_id = 67 : i32, lock_acq_val = -1 : i32, lock_rel_id = 0 : i32, lock_rel_val = 0 : i32, d0_zero_before = 0 : i32, d0_zero_after = 0 : i32, d1_zero_before = 0 : i32, d1_zero_after = 0 : i32, d2_zero_before = 0 : i32, d2_zero_after = 0 : i32, enable_packet = 0 : i32, packet_id = 0 : i32, packet_type = 0 : i32, out_of_order_id = 0 : i32, valid_bd = 1 : i32}
      aiex.npu.writebd {column = 3 : i32, row = 1 : i32, bd_id = 7 : i32, buffer_length = 1 : i32, buffer_offset = 258048 : i32, d0_size = 0 : i32, d0_stride = 0 : i32, d1_size = 0 : i32, d1_stride = 0 : i32, d2_size = 0 : i32, d2_stride = 0 : i32, iteration_current = 0 : i32, iteration_size = 0 : i32, iteration_stride = 0 : i32, use_next_bd = 1 : i32, next_bd = 6 : i32, lock_acq_enable = 0 : i32, lock_acq_id = 0 : i32, lock_acq_val = 0 : i32, lock_rel_id = 2 : i32, lock_rel_val = 1 : i32, d0_zero_before = 0 : i32, d0_zero_after = 0 : i32, d1_zero_before = 0 : i32, d1_zero_after = 0 : i32, d2_zero_before = 0 : i32, d2_zero_after = 0 : i32, enable_packet = 0 : i32, packet_id = 0 : i32, packet_type = 0 : i32, out_of_order_id = 0 : i32, valid_bd = 1 : i32}
      aiex.npu.writebd {column = 3 : i32, row = 1 : i32, bd_id = 8 : i32, buffer_length = 254 : i32, buffer_offset = 258057 : i32, d0_size = 0 : i32, d0_stride = 0 : i32, d1_size = 0 : i32, d1_stride = 0 : i32, d2_size = 0 : i32, d2_stride = 0 : i32, iteration_current = 0 : i32, iteration_size = 0 : i32, iteration_stride = 0 : i32, use_next_bd = 1 : i32, next_bd = 7 : i32, lock_acq_enable = 0 : i32, lock_acq_id = 0 : i32, lock_acq_val = 0 : i32, lock_rel_id = 0 : i32, lock_rel_val = 0 : i32, d0_zero_before = 0 : i32, d0_zero_after = 0 : i32, d1_zero_before = 0 : i32, d1_zero_after = 0 : i32, d2_zero_before = 0 : i32, d2_zero_after = 0 : i32, enable_packet = 0 : i32, packet_id = 0 : i32, packet_type = 0 : i32, out_of_order_id = 0 : i32, valid_bd = 1 : i32}
      aiex.npu.write32 {address = 656948 : ui32, column = 3 : i32, row = 1 : i32, value = 2147483656 : ui32}
      aiex.npu.sync {channel = 0 : i32, column = 1 : i32, column_num = 1 : i32, direction = 1 : i32, row = 1 : i32, row_num = 1 : i32}
      aiex.npu.writebd {column = 1 : i32, row = 1 : i32, bd_id = 8 : i32, buffer_length = 495 : i32, buffer_offset = 258048 : i32, d0_size = 0 : i32, d0_stride = 0 : i32, d1_size = 0 : i32, d1_stride = 0 : i32, d2_size = 0 : i32, d2_stride = 0 : i32, iteration_current = 0 : i32, iteration_size = 0 : i32, iteration_stride = 0 : i32, use_next_bd = 1 : i32, next_bd = 3 : i32, lock_acq_enable = 1 : i32, lock_acq_id = 72 : i32, lock_acq_val = -1 : i32, lock_rel_id = 0 : i32, lock_rel_val = 0 : i32, d0_zero_before = 0 : i32, d0_zero_after = 0 : i32, d1_zero_before = 0 : i32, d1_zero_after = 0 : i32, d2_zero_before = 0 : i32, d2_zero_after = 0 : i32, enable_packet = 0 : i32, packet_id = 0 : i32, packet_type = 0 : i32, out_of_order_id = 0 : i32, valid_bd = 1 : i32}
      aiex.npu.writebd {column = 1 : i32, row = 1 : i32, bd_id = 9 : i32, buffer_length = 6656 : i32, buffer_offset = 258048 : i32, d0_size = 512 : i32, d0_stride = 0 : i32, d1_size = 13 : i32, d1_stride = 0 : i32, d2_size = 0 : i32, d2_stride = 0 : i32, iteration_current = 0 : i32, iteration_size = 0 : i32, iteration_stride = 0 : i32, use_next_bd = 1 : i32, next_bd = 8 : i32, lock_acq_enable = 0 : i32, lock_acq_id = 0 : i32, lock_acq_val = 0 : i32, lock_rel_id = 0 : i32, lock_rel_val = 0 : i32, d0_zero_before = 0 : i32, d0_zero_after = 0 : i32, d1_zero_before = 0 : i32, d1_zero_after = 0 : i32, d2_zero_before = 0 : i32, d2_zero_after = 0 : i32, enable_packet = 0 : i32, packet_id = 0 : i32, packet_type = 0 : i32, out_of_order_id = 0 : i32, valid_bd = 1 : i32}
      aiex.npu.writebd {column = 1 : i32, row = 1 : i32, bd_id = 10 : i32, buffer_length = 1 : i32, buffer_offset = 258048 : i32, d0_size = 0 : i32, d0_stride = 0 : i32, d1_size = 0 : i32, d1_stride = 0 : i32, d2_size = 0 : i32, d2_stride = 0 : i32, iteration_current = 0 : i32, iteration_size = 0 : i32, iteration_stride = 0 : i32, use_next_bd = 1 : i32, next_bd = 9 : i32, lock_acq_enable = 0 : i32, lock_acq_id = 0 : i32, lock_acq_val = 0 : i32, lock_rel_id = 71 : i32, lock_rel_val = 1 : i32, d0_zero_before = 0 : i32, d0_zero_after = 0 : i32, d1_zero_before = 0 : i32, d1_zero_after = 0 : i32, d2_zero_before = 0 : i32, d2_zero_after = 0 : i32, enable_packet = 0 : i32, packet_id = 0 : i32, packet_type = 0 : i32, out_of_order_id = 0 : i32, valid_bd = 1 : i32}
      aiex.npu.writebd {column = 1 : i32, row = 1 : i32, bd_id = 11 : i32, buffer_length = 1 : i32, buffer_offset = 258048 : i32, d0_size = 0 : i32, d0_stride = 0 : i32, d1_size = 0 : i32, d1_stride = 0 : i32, d2_size = 0 : i32, d2_stride = 0 : i32, iteration_current = 0 : i32, iteration_size = 0 : i32, iteration_stride = 0 : i32, use_next_bd = 1 : i32, next_bd = 10 : i32, lock_acq_enable = 1 : i32, lock_acq_id = 67 : i32, lock_acq_val = -1 : i32, lock_rel_id = 131 : i32, lock_rel_val = 1 : i32, d0_zero_before = 0 : i32, d0_zero_after = 0 : i32, d1_zero_before = 0 : i32, d1_zero_after = 0 : i32, d2_zero_before = 0 : i32, d2_zero_after = 0 : i32, enable_packet = 0 : i32, packet_id = 0 : i32, packet_type = 0 : i32, out_of_order_id = 0 : i32, valid_bd = 1 : i32}
      aiex.npu.writebd {column = 1 : i32, row = 1 : i32, bd_id = 12 : i32, buffer_length = 1 : i32, buffer_offset = 258048 : i32, d0_size = 0 : i32, d0_stride = 0 : i32, d1_size = 0 : i32, d1_stride = 0 : i32, d2_size = 0 : i32, d2_stride = 0 : i32, iteration_current = 0 : i32, iteration_size = 0 : i32, iteration_stride = 0 : i32, use_next_bd = 1 : i32, next_bd = 11 : i32, lock_acq_enable = 1 : i32, lock_acq_id = 66 : i32, lock_acq_val = -3 : i32, lock_rel_id = 2 : i32, lock_rel_val = 1 : i32, d0_zero_before = 0 : i32, d0_zero_after = 0 : i32, d1_zero_before = 0 : i32, d1_zero_after = 0 : i32, d2_zero_before = 0 : i32, d2_zero_after = 0 : i32, enable_packet = 0 : i32, packet_id = 0 : i32, packet_type = 0 : i32, out_of_order_id = 0 : i32, valid_bd = 1 : i32}
      aiex.npu.writebd {column = 1 : i32, row = 1 : i32, bd_id = 13 : i32, buffer_length = 14 : i32, buffer_offset = 258140 : i32, d0_size = 0 : i32, d0_stride = 0 : i32, d1_size = 0 : i32, d1_stride = 0 : i32, d2_size = 0 : i32, d2_stride = 0 : i32, iteration_current = 0 : i32, iteration_size = 0 : i32, iteration_stride = 0 : i32, use_next_bd = 1 : i32, next_bd = 12 : i32, lock_acq_enable = 0 : i32, lock_acq_id = 0 : i32, lock_acq_val = 0 : i32, lock_rel_id = 0 : i32, lock_rel_val = 0 : i32, d0_zero_before = 0 : i32, d0_zero_after = 0 : i32, d1_zero_before = 0 : i32, d1_zero_after = 0 : i32, d2_zero_before = 0 : i32, d2_zero_after = 0 : i32, enable_packet = 0 : i32, packet_id = 0 : i32, packet_type = 0 : i32, out_of_order_id = 0 : i32, valid_bd = 1 : i32}
      aiex.npu.writebd {column = 1 : i32, row = 1 : i32, bd_id = 14 : i32, buffer_length = 392 : i32, buffer_offset = 258048 : i32, d0_size = 0 : i32, d0_stride = 0 : i32, d1_size = 0 : i32, d1_stride = 0 : i32, d2_size = 0 : i32, d2_stride = 0 : i32, iteration_current = 0 : i32, iteration_size = 0 : i32, iteration_stride = 0 : i32, use_next_bd = 1 : i32, next_bd = 13 : i32, lock_acq_enable = 0 : i32, lock_acq_id = 0 : i32, lock_acq_val = 0 : i32, lock_rel_id = 0 : i32, lock_rel_val = 0 : i32, d0_zero_before = 0 : i32, d0_zero_after = 0 : i32, d1_zero_before = 0 : i32, d1_zero_after = 0 : i32, d2_zero_before = 0 : i32, d2_zero_after = 0 : i32, enable_packet = 0 : i32, packet_id = 0 : i32, packet_type = 0 : i32, out_of_order_id = 0 : i32, valid_bd = 1 : i32}
      aiex.npu.writebd {column = 1 : i32, row = 1 : i32, bd_id = 15 : i32, buffer_length = 200 : i32, buffer_offset = 261728 : i32, d0_size = 0 : i32, d0_stride = 0 : i32, d1_size = 0 : i32, d1_stride = 0 : i32, d2_size = 0 : i32, d2_stride = 0 : i32, iteration_current = 0 : i32, iteration_size = 0 : i32, iteration_stride = 0 : i32, use_next_bd = 1 : i32, next_bd = 14 : i32, lock_acq_enable = 0 : i32, lock_acq_id = 0 : i32, lock_acq_val = 0 : i32, lock_rel_id = 0 : i32, lock_rel_val = 0 : i32, d0_zero_before = 0 : i32, d0_zero_after = 0 : i32, d1_zero_before = 0 : i32, d1_zero_after = 0 : i32, d2_zero_before = 0 : i32, d2_zero_after = 0 : i32, enable_packet = 0 : i32, packet_id = 0 : i32, packet_type = 0 : i32, out_of_order_id = 0 : i32, valid_bd = 1 : i32}
      aiex.npu.writebd {column = 1 : i32, row = 1 : i32, bd_id = 16 : i32, buffer_length = 432 : i32, buffer_offset = 261120 : i32, d0_size = 20 : i32, d0_stride = 0 : i32, d1_size = 3 : i32, d1_stride = 19 : i32, d2_size = 6 : i32, d2_stride = 59 : i32, iteration_current = 0 : i32, iteration_size = 0 : i32, iteration_stride = 0 : i32, use_next_bd = 1 : i32, next_bd = 15 : i32, lock_acq_enable = 1 : i32, lock_acq_id = 70 : i32, lock_acq_val = -1 : i32, lock_rel_id = 0 : i32, lock_rel_val = 0 : i32, d0_zero_before = 2 : i32, d0_zero_after = 2 : i32, d1_zero_before = 0 : i32, d1_zero_after = 0 : i32, d2_zero_before = 0 : i32, d2_zero_after = 0 : i32, enable_packet = 0 : i32, packet_id = 0 : i32, packet_type = 0 : i32, out_of_order_id = 0 : i32, valid_bd = 1 : i32}
      aiex.npu.write32 {address = 656948 : ui32, column = 1 : i32, row = 1 : i32, value = 2147483664 : ui32}
      aiex.npu.sync {channel = 0 : i32, column = 2 : i32, column_num = 1 : i32, direction = 1 : i32, row = 1 : i32, row_num = 1 : i32}
      aiex.npu.writebd {column = 2 : i32, row = 1 : i32, bd_id = 8 : i32, buffer_length = 495 : i32, buffer_offset = 258048 : i32, d0_size = 0 : i32, d0_stride = 0 : i32, d1_size = 0 : i32, d1_stride = 0 : i32, d2_size = 0 : i32, d2_stride = 0 : i32, iteration_current = 0 : i32, iteration_size = 0 : i32, iteration_stride = 0 : i32, use_next_bd = 1 : i32, next_bd = 3 : i32, lock_acq_enable = 1 : i32, lock_acq_id = 72 : i32, lock_acq_val = -1 : i32, lock_rel_id = 0 : i32, lock_rel_val = 0 : i32, d0_zero_before = 0 : i32, d0_zero_after = 0 : i32, d1_zero_before = 0 : i32, d1_zero_after = 0 : i32, d2_zero_before = 0 : i32, d2_zero_after = 0 : i32, enable_packet = 0 : i32, packet_id = 0 : i32, packet_type = 0 : i32, out_of_order_id = 0 : i32, valid_bd = 1 : i32}
      aiex.npu.writebd {column = 2 : i32, row = 1 : i32, bd_id = 9 : i32, buffer_length = 6656 : i32, buffer_offset = 258048 : i32, d0_size = 512 : i32, d0_stride = 0 : i32, d1_size = 13 : i32, d1_stride = 0 : i32, d2_size = 0 : i32, d2_stride = 0 : i32, iteration_current = 0 : i32, iteration_size = 0 : i32, iteration_stride = 0 : i32, use_next_bd = 1 : i32, next_bd = 8 : i32, lock_acq_enable = 0 : i32, lock_acq_id = 0 : i32, lock_acq_val = 0 : i32, lock_rel_id = 0 : i32, lock_rel_val = 0 : i32, d0_zero_before = 0 : i32, d0_zero_after = 0 : i32, d1_zero_before = 0 : i32, d1_zero_after = 0 : i32, d2_zero_before = 0 : i32, d2_zero_after = 0 : i32, enable_packet = 0 : i32, packet_id = 0 : i32, packet_type = 0 : i32, out_of_order_id = 0 : i32, valid_bd = 1 : i32}
      aiex.npu.writebd {column = 2 : i32, row = 1 : i32, bd_id = 10 : i32, buffer_length = 1 : i32, buffer_offset = 258048 : i32, d0_size = 0 : i32, d0_stride = 0 : i32, d1_size = 0 : i32, d1_stride = 0 : i32, d2_size = 0 : i32, d2_stride = 0 : i32, iteration_current = 0 : i32, iteration_size = 0 : i32, iteration_stride = 0 : i32, use_next_bd = 1 : i32, next_bd = 9 : i32, lock_acq_enable = 0 : i32, lock_acq_id = 0 : i32, lock_acq_val = 0 : i32, lock_rel_id = 71 : i32, lock_rel_val = 1 : i32, d0_zero_before = 0 : i32, d0_zero_after = 0 : i32, d1_zero_before = 0 : i32, d1_zero_after = 0 : i32, d2_zero_before = 0 : i32, d2_zero_after = 0 : i32, enable_packet = 0 : i32, packet_id = 0 : i32, packet_type = 0 : i32, out_of_order_id = 0 : i32, valid_bd = 1 : i32}
      aiex.npu.writebd {column = 2 : i32, row = 1 : i32, bd_id = 11 : i32, buffer_length = 1 : i32, buffer_offset = 258048 : i32, d0_size = 0 : i32, d0_stride = 0 : i32, d1_size = 0 : i32, d1_stride = 0 : i32, d2_size = 0 : i32, d2_stride = 0 : i32, iteration_current = 0 : i32, iteration_size = 0 : i32, iteration_stride = 0 : i32, use_next_bd = 1 : i32, next_bd = 10 : i32, lock_acq_enable = 1 : i32, lock_acq_id = 67 : i32, lock_acq_val = -1 : i32, lock_rel_id = 131 : i32, lock_rel_val = 1 : i32, d0_zero_before = 0 : i32, d0_zero_after = 0 : i32, d1_zero_before = 0 : i32, d1_zero_after = 0 : i32, d2_zero_before = 0 : i32, d2_zero_after = 0 : i32, enable_packet = 0 : i32, packet_id = 0 : i32, packet_type = 0 : i32, out_of_order_id = 0 : i32, valid_bd = 1 : i32}
      aiex.npu.writebd {column = 2 : i32, row = 1 : i32, bd_id = 12 : i32, buffer_length = 1 : i32, buffer_offset = 258048 : i32, d0_size = 0 : i32, d0_stride = 0 : i32, d1_size = 0 : i32, d1_stride = 0 : i32, d2_size = 0 : i32, d2_stride = 0 : i32, iteration_current = 0 : i32, iteration_size = 0 : i32, iteration_stride = 0 : i32, use_next_bd = 1 : i32, next_bd = 11 : i32, lock_acq_enable = 1 : i32, lock_acq_id = 66 : i32, lock_acq_val = -3 : i32, lock_rel_id = 2 : i32, lock_rel_val = 1 : i32, d0_zero_before = 0 : i32, d0_zero_after = 0 : i32, d1_zero_before = 0 : i32, d1_zero_after = 0 : i32, d2_zero_before = 0 : i32, d2_zero_after = 0 : i32, enable_packet = 0 : i32, packet_id = 0 : i32, packet_type = 0 : i32, out_of_order_id = 0 : i32, valid_bd = 1 : i32}
      aiex.npu.writebd {column = 2 : i32, row = 1 : i32, bd_id = 13 : i32, buffer_length = 14 : i32, buffer_offset = 258140 : i32, d0_size = 0 : i32, d0_stride = 0 : i32, d1_size = 0 : i32, d1_stride = 0 : i32, d2_size = 0 : i32, d2_stride = 0 : i32, iteration_current = 0 : i32, iteration_size = 0 : i32, iteration_stride = 0 : i32, use_next_bd = 1 : i32, next_bd = 12 : i32, lock_acq_enable = 0 : i32, lock_acq_id = 0 : i32, lock_acq_val = 0 : i32, lock_rel_id = 0 : i32, lock_rel_val = 0 : i32, d0_zero_before = 0 : i32, d0_zero_after = 0 : i32, d1_zero_before = 0 : i32, d1_zero_after = 0 : i32, d2_zero_before = 0 : i32, d2_zero_after = 0 : i32, enable_packet = 0 : i32, packet_id = 0 : i32, packet_type = 0 : i32, out_of_order_id = 0 : i32, valid_bd = 1 : i32}
      aiex.npu.writebd {column = 2 : i32, row = 1 : i32, bd_id = 14 : i32, buffer_length = 392 : i32, buffer_offset = 258048 : i32, d0_size = 0 : i32, d0_stride = 0 : i32, d1_size = 0 : i32, d1_stride = 0 : i32, d2_size = 0 : i32, d2_stride = 0 : i32, iteration_current = 0 : i32, iteration_size = 0 : i32, iteration_stride = 0 : i32, use_next_bd = 1 : i32, next_bd = 13 : i32, lock_acq_enable = 0 : i32, lock_acq_id = 0 : i32, lock_acq_val = 0 : i32, lock_rel_id = 0 : i32, lock_rel_val = 0 : i32, d0_zero_before = 0 : i32, d0_zero_after = 0 : i32, d1_zero_before = 0 : i32, d1_zero_after = 0 : i32, d2_zero_before = 0 : i32, d2_zero_after = 0 : i32, enable_packet = 0 : i32, packet_id = 0 : i32, packet_type = 0 : i32, out_of_order_id = 0 : i32, valid_bd = 1 : i32}
      aiex.npu.writebd {column = 2 : i32, row = 1 : i32, bd_id = 15 : i32, buffer_length = 200 : i32, buffer_offset = 261728 : i32, d0_size = 0 : i32, d0_stride = 0 : i32, d1_size = 0 : i32, d1_stride = 0 : i32, d2_size = 0 : i32, d2_stride = 0 : i32, iteration_current = 0 : i32, iteration_size = 0 : i32, iteration_stride = 0 : i32, use_next_bd = 1 : i32, next_bd = 14 : i32, lock_acq_enable = 0 : i32, lock_acq_id = 0 : i32, lock_acq_val = 0 : i32, lock_rel_id = 0 : i32, lock_rel_val = 0 : i32, d0_zero_before = 0 : i32, d0_zero_after = 0 : i32, d1_zero_before = 0 : i32, d1_zero_after = 0 : i32, d2_zero_before = 0 : i32, d2_zero_after = 0 : i32, enable_packet = 0 : i32, packet_id = 0 : i32, packet_type = 0 : i32, out_of_order_id = 0 : i32, valid_bd = 1 : i32}
      aiex.npu.writebd {column = 2 : i32, row = 1 : i32, bd_id = 16 : i32, buffer_length = 288 : i32, buffer_offset = 261120 : i32, d0_size = 20 : i32, d0_stride = 0 : i32, d1_size = 3 : i32, d1_stride = 19 : i32, d2_size = 4 : i32, d2_stride = 59 : i32, iteration_current = 0 : i32, iteration_size = 0 : i32, iteration_stride = 0 : i32, use_next_bd = 1 : i32, next_bd = 15 : i32, lock_acq_enable = 0 : i32, lock_acq_id = 0 : i32, lock_acq_val = 0 : i32, lock_rel_id = 0 : i32, lock_rel_val = 0 : i32, d0_zero_before = 2 : i32, d0_zero_after = 2 : i32, d1_zero_before = 0 : i32, d1_zero_after = 0 : i32, d2_zero_before = 0 : i32, d2_zero_after = 0 : i32, enable_packet = 0 : i32, packet_id = 0 : i32, packet_type = 0 : i32, out_of_order_id = 0 : i32, valid_bd = 1 : i32}
      aiex.npu.writebd {column = 2 : i32, row = 1 : i32, bd_id = 17 : i32, buffer_length = 144 : i32, buffer_offset = 130288 : i32, d0_size = 20 : i32, d0_stride = 0 : i32, d1_size = 3 : i32, d1_stride = 19 : i32, d2_size = 2 : i32, d2_stride = 59 : i32, iteration_current = 0 : i32, iteration_size = 0 : i32, iteration_stride = 0 : i32, use_next_bd = 1 : i32, next_bd = 16 : i32, lock_acq_enable = 1 : i32, lock_acq_id = 70 : i32, lock_acq_val = -1 : i32, lock_rel_id = 0 : i32, lock_rel_val = 0 : i32, d0_zero_before = 2 : i32, d0_zero_after = 2 : i32, d1_zero_before = 0 : i32, d1_zero_after = 0 : i32, d2_zero_before = 0 : i32, d2_zero_after = 0 : i32, enable_packet = 0 : i32, packet_id = 0 : i32, packet_type = 0 : i32, out_of_order_id = 0 : i32, valid_bd = 1 : i32}
      aiex.npu.write32 {address = 656948 : ui32, column = 2 : i32, row = 1 : i32, value = 2147483665 : ui32}
      aiex.npu.writebd {column = 1 : i32, row = 1 : i32, bd_id = 30 : i32, buffer_length = 76 : i32, buffer_offset = 259072 : i32, d0_size = 0 : i32, d0_stride = 0 : i32, d1_size = 0 : i32, d1_stride = 0 : i32, d2_size = 0 : i32, d2_stride = 0 : i32, iteration_current = 0 : i32, iteration_size = 0 : i32, iteration_stride = 0 : i32, use_next_bd = 0 : i32, next_bd = 0 : i32, lock_acq_enable = 0 : i32, lock_acq_id = 0 : i32, lock_acq_val = 0 : i32, lock_rel_id = 0 : i32, lock_rel_val = 0 : i32, d0_zero_before = 0 : i32, d0_zero_after = 0 : i32, d1_zero_before = 0 : i32, d1_zero_after = 0 : i32, d2_zero_before = 0 : i32, d2_zero_after = 0 : i32, enable_packet = 0 : i32, packet_id = 0 : i32, packet_type = 0 : i32, out_of_order_id = 0 : i32, valid_bd = 1 : i32}
      aiex.npu.write32 {address = 656908 : ui32, column = 1 : i32, row = 1 : i32, value = 2147483678 : ui32}
      aiex.npu.writebd {column = 1 : i32, row = 1 : i32, bd_id = 31 : i32, buffer_length = 28 : i32, buffer_offset = 259072 : i32, d0_size = 0 : i32, d0_stride = 0 : i32, d1_size = 0 : i32, d1_stride = 0 : i32, d2_size = 0 : i32, d2_stride = 0 : i32, iteration_current = 0 : i32, iteration_size = 0 : i32, iteration_stride = 0 : i32, use_next_bd = 0 : i32, next_bd = 0 : i32, lock_acq_enable = 0 : i32, lock_acq_id = 0 : i32, lock_acq_val = 0 : i32, lock_rel_id = 0 : i32, lock_rel_val = 0 : i32, d0_zero_before = 0 : i32, d0_zero_after = 0 : i32, d1_zero_before = 0 : i32, d1_zero_after = 0 : i32, d2_zero_before = 0 : i32, d2_zero_after = 0 : i32, enable_packet = 0 : i32, packet_id = 0 : i32, packet_type = 0 : i32, out_of_order_id = 0 : i32, valid_bd = 1 : i32}
      aiex.npu.write32 {address = 656908 : ui32, column = 1 : i32, row = 1 : i32, value = 31 : ui32}
      aiex.npu.writebd {column = 1 : i32, row = 1 : i32, bd_id = 32 : i32, buffer_length = 104 : i32, buffer_offset = 259584 : i32, d0_size = 0 : i32, d0_stride = 0 : i32, d1_size = 0 : i32, d1_stride = 0 : i32, d2_size = 0 : i32, d2_stride = 0 : i32, iteration_current = 0 : i32, iteration_size = 0 : i32, iteration_stride = 0 : i32, use_next_bd = 0 : i32, next_bd = 0 : i32, lock_acq_enable = 0 : i32, lock_acq_id = 0 : i32, lock_acq_val = 0 : i32, lock_rel_id = 0 : i32, lock_rel_val = 0 : i32, d0_zero_before = 0 : i32, d0_zero_after = 0 : i32, d1_zero_before = 0 : i32, d1_zero_after = 0 : i32, d2_zero_before = 0 : i32, d2_zero_after = 0 : i32, enable_packet = 0 : i32, packet_id = 0 : i32, packet_type = 0 : i32, out_of_order_id = 0 : i32, valid_bd = 1 : i32}
      aiex.npu.write32 {address = 656924 : ui32, column = 1 : i32, row = 1 : i32, value = 32 : ui32}
      aiex.npu.writebd {column = 2 : i32, row = 1 : i32, bd_id = 30 : i32, buffer_length = 76 : i32, buffer_offset = 259072 : i32, d0_size = 0 : i32, d0_stride = 0 : i32, d1_size = 0 : i32, d1_stride = 0 : i32, d2_size = 0 : i32, d2_stride = 0 : i32, iteration_current = 0 : i32, iteration_size = 0 : i32, iteration_stride = 0 : i32, use_next_bd = 0 : i32, next_bd = 0 : i32, lock_acq_enable = 0 : i32, lock_acq_id = 0 : i32, lock_acq_val = 0 : i32, lock_rel_id = 0 : i32, lock_rel_val = 0 : i32, d0_zero_before = 0 : i32, d0_zero_after = 0 : i32, d1_zero_before = 0 : i32, d1_zero_after = 0 : i32, d2_zero_before = 0 : i32, d2_zero_after = 0 : i32, enable_packet = 0 : i32, packet_id = 0 : i32, packet_type = 0 : i32, out_of_order_id = 0 : i32, valid_bd = 1 : i32}
      aiex.npu.write32 {address = 656908 : ui32, column = 2 : i32, row = 1 : i32, value = 2147483678 : ui32}
      aiex.npu.writebd {column = 2 : i32, row = 1 : i32, bd_id = 31 : i32, buffer_length = 28 : i32, buffer_offset = 259072 : i32, d0_size = 0 : i32, d0_stride = 0 : i32, d1_size = 0 : i32, d1_stride = 0 : i32, d2_size = 0 : i32, d2_stride = 0 : i32, iteration_current = 0 : i32, iteration_size = 0 : i32, iteration_stride = 0 : i32, use_next_bd = 0 : i32, next_bd = 0 : i32, lock_acq_enable = 0 : i32, lock_acq_id = 0 : i32, lock_acq_val = 0 : i32, lock_rel_id = 0 : i32, lock_rel_val = 0 : i32, d0_zero_before = 0 : i32, d0_zero_after = 0 : i32, d1_zero_before = 0 : i32, d1_zero_after = 0 : i32, d2_zero_before = 0 : i32, d2_zero_after = 0 : i32, enable_packet = 0 : i32, packet_id = 0 : i32, packet_type = 0 : i32, out_of_order_id = 0 : i32, valid_bd = 1 : i32}
      aiex.npu.write32 {address = 656908 : ui32, column = 2 : i32, row = 1 : i32, value = 31 : ui32}
      aiex.npu.writebd {column = 2 : i32, row = 1 : i32, bd_id = 32 : i32, buffer_length = 104 : i32, buffer_offset = 259584 : i32, d0_size = 0 : i32, d0_stride = 0 : i32, d1_size = 0 : i32, d1_stride = 0 : i32, d2_size = 0 : i32, d2_stride = 0 : i32, iteration_current = 0 : i32, iteration_size = 0 : i32, iteration_stride = 0 : i32, use_next_bd = 0 : i32, next_bd = 0 : i32, lock_acq_enable = 0 : i32, lock_acq_id = 0 : i32, lock_acq_val = 0 : i32, lock_rel_id = 0 : i32, lock_rel_val = 0 : i32, d0_zero_before = 0 : i32, d0_zero_after = 0 : i32, d1_zero_before = 0 : i32, d1_zero_after = 0 : i32, d2_zero_before = 0 : i32, d2_zero_after = 0 : i32, enable_packet = 0 : i32, packet_id = 0 : i32, packet_type = 0 : i32, out_of_order_id = 0 : i32, valid_bd = 1 : i32}
      aiex.npu.write32 {address = 656924 : ui32, column = 2 : i32, row = 1 : i32, value = 32 : ui32}
      aiex.npu.sync {channel = 1 : i32, column = 1 : i32, column_num = 1 : i32, direction = 0 : i32, row = 1 : i32, row_num = 1 : i32}
      aiex.npu.writebd {column = 1 : i32, row = 1 : i32, bd_id = 33 : i32, buffer_length = 1232 : i32, buffer_offset = 259072 : i32, d0_size = 176 : i32, d0_stride = 0 : i32, d1_size = 7 : i32, d1_stride = 0 : i32, d2_size = 0 : i32, d2_stride = 0 : i32, iteration_current = 0 : i32, iteration_size = 0 : i32, iteration_stride = 0 : i32, use_next_bd = 1 : i32, next_bd = 28 : i32, lock_acq_enable = 0 : i32, lock_acq_id = 0 : i32, lock_acq_val = 0 : i32, lock_rel_id = 0 : i32, lock_rel_val = 0 : i32, d0_zero_before = 0 : i32, d0_zero_after = 0 : i32, d1_zero_before = 0 : i32, d1_zero_after = 0 : i32, d2_zero_before = 0 : i32, d2_zero_after = 0 : i32, enable_packet = 0 : i32, packet_id = 0 : i32, packet_type = 0 : i32, out_of_order_id = 0 : i32, valid_bd = 1 : i32}
      aiex.npu.writebd {column = 1 : i32, row = 1 : i32, bd_id = 34 : i32, buffer_length = 12 : i32, buffer_offset = 259072 : i32, d0_size = 0 : i32, d0_stride = 0 : i32, d1_size = 0 : i32, d1_stride = 0 : i32, d2_size = 0 : i32, d2_stride = 0 : i32, iteration_current = 0 : i32, iteration_size = 0 : i32, iteration_stride = 0 : i32, use_next_bd = 1 : i32, next_bd = 33 : i32, lock_acq_enable = 0 : i32, lock_acq_id = 0 : i32, lock_acq_val = 0 : i32, lock_rel_id = 0 : i32, lock_rel_val = 0 : i32, d0_zero_before = 0 : i32, d0_zero_after = 0 : i32, d1_zero_before = 0 : i32, d1_zero_after = 0 : i32, d2_zero_before = 0 : i32, d2_zero_after = 0 : i32, enable_packet = 0 : i32, packet_id = 0 : i32, packet_type = 0 : i32, out_of_order_id = 0 : i32, valid_bd = 1 : i32}
      aiex.npu.writebd {column = 1 : i32, row = 1 : i32, bd_id = 35 : i32, buffer_length = 100 : i32, buffer_offset = 261488 : i32, d0_size = 20 : i32, d0_stride = 0 : i32, d1_size = 5 : i32, d1_stride = 39 : i32, d2_size = 0 : i32, d2_stride = 0 : i32, iteration_current = 0 : i32, iteration_size = 0 : i32, iteration_stride = 0 : i32, use_next_bd = 1 : i32, next_bd = 34 : i32, lock_acq_enable = 0 : i32, lock_acq_id = 0 : i32, lock_acq_val = 0 : i32, lock_rel_id = 66 : i32, lock_rel_val = 1 : i32, d0_zero_before = 0 : i32, d0_zero_after = 0 : i32, d1_zero_before = 0 : i32, d1_zero_after = 0 : i32, d2_zero_before = 0 : i32, d2_zero_after = 0 : i32, enable_packet = 0 : i32, packet_id = 0 : i32, packet_type = 0 : i32, out_of_order_id = 0 : i32, valid_bd = 1 : i32}
      aiex.npu.write32 {address = 656908 : ui32, column = 1 : i32, row = 1 : i32, value = 2147483683 : ui32}
      aiex.npu.sync {channel = 1 : i32, column = 1 : i32, column_num = 1 : i32, direction = 0 : i32, row = 1 : i32, row_num = 1 : i32}
      aiex.npu.sync {channel = 3 : i32, column = 1 : i32, column_num = 1 : i32, direction = 0 : i32, row = 1 : i32, row_num = 1 : i32}
      aiex.npu.writebd {column = 1 : i32, row = 1 : i32, bd_id = 36 : i32, buffer_length = 1232 : i32, buffer_offset = 259584 : i32, d0_size = 176 : i32, d0_stride = 0 : i32, d1_size = 7 : i32, d1_stride = 0 : i32, d2_size = 0 : i32, d2_stride = 0 : i32, iteration_current = 0 : i32, iteration_size = 0 : i32, iteration_stride = 0 : i32, use_next_bd = 1 : i32, next_bd = 29 : i32, lock_acq_enable = 0 : i32, lock_acq_id = 0 : i32, lock_acq_val = 0 : i32, lock_rel_id = 0 : i32, lock_rel_val = 0 : i32, d0_zero_before = 0 : i32, d0_zero_after = 0 : i32, d1_zero_before = 0 : i32, d1_zero_after = 0 : i32, d2_zero_before = 0 : i32, d2_zero_after = 0 : i32, enable_packet = 0 : i32, packet_id = 0 : i32, packet_type = 0 : i32, out_of_order_id = 0 : i32, valid_bd = 1 : i32}
      aiex.npu.writebd {column = 1 : i32, row = 1 : i32, bd_id = 37 : i32, buffer_length = 12 : i32, buffer_offset = 259584 : i32, d0_size = 0 : i32, d0_stride = 0 : i32, d1_size = 0 : i32, d1_stride = 0 : i32, d2_size = 0 : i32, d2_stride = 0 : i32, iteration_current = 0 : i32, iteration_size = 0 : i32, iteration_stride = 0 : i32, use_next_bd = 1 : i32, next_bd = 36 : i32, lock_acq_enable = 0 : i32, lock_acq_id = 0 : i32, lock_acq_val = 0 : i32, lock_rel_id = 0 : i32, lock_rel_val = 0 : i32, d0_zero_before = 0 : i32, d0_zero_after = 0 : i32, d1_zero_before = 0 : i32, d1_zero_after = 0 : i32, d2_zero_before = 0 : i32, d2_zero_after = 0 : i32, enable_packet = 0 : i32, packet_id = 0 : i32, packet_type = 0 : i32, out_of_order_id = 0 : i32, valid_bd = 1 : i32}
      aiex.npu.writebd {column = 1 : i32, row = 1 : i32, bd_id = 38 : i32, buffer_length = 100 : i32, buffer_offset = 261508 : i32, d0_size = 20 : i32, d0_stride = 0 : i32, d1_size = 5 : i32, d1_stride = 39 : i32, d2_size = 0 : i32, d2_stride = 0 : i32, iteration_current = 0 : i32, iteration_size = 0 : i32, iteration_stride = 0 : i32, use_next_bd = 1 : i32, next_bd = 37 : i32, lock_acq_enable = 0 : i32, lock_acq_id = 0 : i32, lock_acq_val = 0 : i32, lock_rel_id = 66 : i32, lock_rel_val = 1 : i32, d0_zero_before = 0 : i32, d0_zero_after = 0 : i32, d1_zero_before = 0 : i32, d1_zero_after = 0 : i32, d2_zero_before = 0 : i32, d2_zero_after = 0 : i32, enable_packet = 0 : i32, packet_id = 0 : i32, packet_type = 0 : i32, out_of_order_id = 0 : i32, valid_bd = 1 : i32}
      aiex.npu.write32 {address = 656924 : ui32, column = 1 : i32, row = 1 : i32, value = 2147483686 : ui32}
      aiex.npu.sync {channel = 1 : i32, column = 2 : i32, column_num = 1 : i32, direction = 0 : i32, row = 1 : i32, row_num = 1 : i32}
      aiex.npu.writebd {column = 2 : i32, row = 1 : i32, bd_id = 33 : i32, buffer_length = 1232 : i32, buffer_offset = 259072 : i32, d0_size = 176 : i32, d0_stride = 0 : i32, d1_size = 7 : i32, d1_stride = 0 : i32, d2_size = 0 : i32, d2_stride = 0 : i32, iteration_current = 0 : i32, iteration_size = 0 : i32, iteration_stride = 0 : i32, use_next_bd = 1 : i32, next_bd = 28 : i32, lock_acq_enable = 0 : i32, lock_acq_id = 0 : i32, lock_acq_val = 0 : i32, lock_rel_id = 0 : i32, lock_rel_val = 0 : i32, d0_zero_before = 0 : i32, d0_zero_after = 0 : i32, d1_zero_before = 0 : i32, d1_zero_after = 0 : i32, d2_zero_before = 0 : i32, d2_zero_after = 0 : i32, enable_packet = 0 : i32, packet_id = 0 : i32, packet_type = 0 : i32, out_of_order_id = 0 : i32, valid_bd = 1 : i32}
      aiex.npu.writebd {column = 2 : i32, row = 1 : i32, bd_id = 34 : i32, buffer_length = 12 : i32, buffer_offset = 259072 : i32, d0_size = 0 : i32, d0_stride = 0 : i32, d1_size = 0 : i32, d1_stride = 0 : i32, d2_size = 0 : i32, d2_stride = 0 : i32, iteration_current = 0 : i32, iteration_size = 0 : i32, iteration_stride = 0 : i32, use_next_bd = 1 : i32, next_bd = 33 : i32, lock_acq_enable = 0 : i32, lock_acq_id = 0 : i32, lock_acq_val = 0 : i32, lock_rel_id = 0 : i32, lock_rel_val = 0 : i32, d0_zero_before = 0 : i32, d0_zero_after = 0 : i32, d1_zero_before = 0 : i32, d1_zero_after = 0 : i32, d2_zero_before = 0 : i32, d2_zero_after = 0 : i32, enable_packet = 0 : i32, packet_id = 0 : i32, packet_type = 0 : i32, out_of_order_id = 0 : i32, valid_bd = 1 : i32}
      aiex.npu.writebd {column = 2 : i32, row = 1 : i32, bd_id = 35 : i32, buffer_length = 100 : i32, buffer_offset = 261488 : i32, d0_size = 20 : i32, d0_stride = 0 : i32, d1_size = 5 : i32, d1_stride = 39 : i32, d2_size = 0 : i32, d2_stride = 0 : i32, iteration_current = 0 : i32, iteration_size = 0 : i32, iteration_stride = 0 : i32, use_next_bd = 1 : i32, next_bd = 34 : i32, lock_acq_enable = 0 : i32, lock_acq_id = 0 : i32, lock_acq_val = 0 : i32, lock_rel_id = 66 : i32, lock_rel_val = 1 : i32, d0_zero_before = 0 : i32, d0_zero_after = 0 : i32, d1_zero_before = 0 : i32, d1_zero_after = 0 : i32, d2_zero_before = 0 : i32, d2_zero_after = 0 : i32, enable_packet = 0 : i32, packet_id = 0 : i32, packet_type = 0 : i32, out_of_order_id = 0 : i32, valid_bd = 1 : i32}
      aiex.npu.write32 {address = 656908 : ui32, column = 2 : i32, row = 1 : i32, value = 2147483683 : ui32}
      aiex.npu.sync {channel = 1 : i32, column = 2 : i32, column_num = 1 : i32, direction = 0 : i32, row = 1 : i32, row_num = 1 : i32}
      aiex.npu.sync {channel = 3 : i32, column = 2 : i32, column_num = 1 : i32, direction = 0 : i32, row = 1 : i32, row_num = 1 : i32}
      aiex.npu.writebd {column = 2 : i32, row = 1 : i32, bd_id = 36 : i32, buffer_length = 1232 : i32, buffer_offset = 259584 : i32, d0_size = 176 : i32, d0_stride = 0 : i32, d1_size = 7 : i32, d1_stride = 0 : i32, d2_size = 0 : i32, d2_stride = 0 : i32, iteration_current = 0 : i32, iteration_size = 0 : i32, iteration_stride = 0 : i32, use_next_bd = 1 : i32, next_bd = 29 : i32, lock_acq_enable = 0 : i32, lock_acq_id = 0 : i32, lock_acq_val = 0 : i32, lock_rel_id = 0 : i32, lock_rel_val = 0 : i32, d0_zero_before = 0 : i32, d0_zero_after = 0 : i32, d1_zero_before = 0 : i32, d1_zero_after = 0 : i32, d2_zero_before = 0 : i32, d2_zero_after = 0 : i32, enable_packet = 0 : i32, packet_id = 0 : i32, packet_type = 0 : i32, out_of_order_id = 0 : i32, valid_bd = 1 : i32}
      aiex.npu.writebd {column = 2 : i32, row = 1 : i32, bd_id = 37 : i32, buffer_length = 12 : i32, buffer_offset = 259584 : i32, d0_size = 0 : i32, d0_stride = 0 : i32, d1_size = 0 : i32, d1_stride = 0 : i32, d2_size = 0 : i32, d2_stride = 0 : i32, iteration_current = 0 : i32, iteration_size = 0 : i32, iteration_stride = 0 : i32, use_next_bd = 1 : i32, next_bd = 36 : i32, lock_acq_enable = 0 : i32, lock_acq_id = 0 : i32, lock_acq_val = 0 : i32, lock_rel_id = 0 : i32, lock_rel_val = 0 : i32, d0_zero_before = 0 : i32, d0_zero_after = 0 : i32, d1_zero_before = 0 : i32, d1_zero_after = 0 : i32, d2_zero_before = 0 : i32, d2_zero_after = 0 : i32, enable_packet = 0 : i32, packet_id = 0 : i32, packet_type = 0 : i32, out_of_order_id = 0 : i32, valid_bd = 1 : i32}
      aiex.npu.writebd {column = 2 : i32, row = 1 : i32, bd_id = 38 : i32, buffer_length = 100 : i32, buffer_offset = 261508 : i32, d0_size = 20 : i32, d0_stride = 0 : i32, d1_size = 5 : i32, d1_stride = 39 : i32, d2_size = 0 : i32, d2_stride = 0 : i32, iteration_current = 0 : i32, iteration_size = 0 : i32, iteration_stride = 0 : i32, use_next_bd = 1 : i32, next_bd = 37 : i32, lock_acq_enable = 0 : i32, lock_acq_id = 0 : i32, lock_acq_val = 0 : i32, lock_rel_id = 66 : i32, lock_rel_val = 1 : i32, d0_zero_before = 0 : i32, d0_zero_after = 0 : i32, d1_zero_before = 0 : i32, d1_zero_after = 0 : i32, d2_zero_before = 0 : i32, d2_zero_after = 0 : i32, enable_packet = 0 : i32, packet_id = 0 : i32, packet_type = 0 : i32, out_of_order_id = 0 : i32, valid_bd = 1 : i32}
      aiex.npu.write32 {address = 656924 : ui32, column = 2 : i32, row = 1 : i32, value = 2147483686 : ui32}
      aiex.npu.writebd {column = 1 : i32, row = 0 : i32, bd_id = 4 : i32, buffer_length = 200 : i32, buffer_offset = 0 : i32, d0_size = 0 : i32, d0_stride = 0 : i32, d1_size = 0 : i32, d1_stride = 0 : i32, d2_size = 0 : i32, d2_stride = 0 : i32, iteration_current = 0 : i32, iteration_size = 0 : i32, iteration_stride = 0 : i32, use_next_bd = 0 : i32, next_bd = 0 : i32, lock_acq_enable = 0 : i32, lock_acq_id = 0 : i32, lock_acq_val = 0 : i32, lock_rel_id = 0 : i32, lock_rel_val = 0 : i32, d0_zero_before = 0 : i32, d0_zero_after = 0 : i32, d1_zero_before = 0 : i32, d1_zero_after = 0 : i32, d2_zero_before = 0 : i32, d2_zero_after = 0 : i32, enable_packet = 0 : i32, packet_id = 0 : i32, packet_type = 0 : i32, out_of_order_id = 0 : i32, valid_bd = 1 : i32}
      aiex.npu.address_patch {addr = 33673348 : ui32, arg_idx = 2 : i32, arg_plus = 0 : i32}
      aiex.npu.push_queue(1, 0, S2MM : 0) {bd_id = 4 : i32, issue_token = true, repeat_count = 0 : i32}
      aiex.npu.writebd {column = 2 : i32, row = 0 : i32, bd_id = 4 : i32, buffer_length = 200 : i32, buffer_offset = 0 : i32, d0_size = 0 : i32, d0_stride = 0 : i32, d1_size = 0 : i32, d1_stride = 0 : i32, d2_size = 0 : i32, d2_stride = 0 : i32, iteration_current = 0 : i32, iteration_size = 0 : i32, iteration_stride = 0 : i32, use_next_bd = 0 : i32, next_bd = 0 : i32, lock_acq_enable = 0 : i32, lock_acq_id = 0 : i32, lock_acq_val = 0 : i32, lock_rel_id = 0 : i32, lock_rel_val = 0 : i32, d0_zero_before = 0 : i32, d0_zero_after = 0 : i32, d1_zero_before = 0 : i32, d1_zero_after = 0 : i32, d2_zero_before = 0 : i32, d2_zero_after = 0 : i32, enable_packet = 0 : i32, packet_id = 0 : i32, packet_type = 0 : i32, out_of_order_id = 0 : i32, valid_bd = 1 : i32}
      aiex.npu.address_patch {addr = 67227780 : ui32, arg_idx = 2 : i32, arg_plus = 800 : i32}
      aiex.npu.push_queue(2, 0, S2MM : 0) {bd_id = 4 : i32, issue_token = true, repeat_count = 0 : i32}
      aiex.npu.sync {channel = 0 : i32, column = 1 : i32, column_num = 1 : i32, direction = 0 : i32, row = 0 : i32, row_num = 1 : i32}
      aiex.npu.sync {channel = 0 : i32, column = 2 : i32, column_num = 1 : i32, direction = 0 : i32, row = 0 : i32, row_num = 1 : i32}
    }
  }
}
