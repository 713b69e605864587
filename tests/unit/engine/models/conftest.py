"""Models on disk, small and whole."""

from __future__ import annotations

import json

import pytest

from leanvibe_lsp.engine.models.vocabulary import BYTE_OF
from tests.support.gguf import safetensors_bytes


@pytest.fixture
def folder(tmp_path):
    """A whole llama folder, 2 layers, with a byte-level tokenizer. Returns its path."""
    path = tmp_path / "folder"
    path.mkdir()
    write_llama_folder(path)
    return path


def write_llama_folder(path):
    """config.json, model.safetensors and the tokenizer of a tiny llama with 4 heads, 2 key heads, 16 wide."""
    config = {
        "model_type": "llama",
        "hidden_size": 16,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "intermediate_size": 32,
        "vocab_size": 260,
        "num_hidden_layers": 2,
        "tie_word_embeddings": True,
        "eos_token_id": 257,
    }
    shapes = {"model.embed_tokens.weight": (260, 16), "model.norm.weight": (16,)}
    for layer in range(2):
        at = f"model.layers.{layer}."
        shapes |= {
            f"{at}input_layernorm.weight": (16,),
            f"{at}post_attention_layernorm.weight": (16,),
            f"{at}self_attn.q_proj.weight": (16, 16),
            f"{at}self_attn.k_proj.weight": (8, 16),
            f"{at}self_attn.v_proj.weight": (8, 16),
            f"{at}self_attn.o_proj.weight": (16, 16),
            f"{at}mlp.gate_proj.weight": (32, 16),
            f"{at}mlp.up_proj.weight": (32, 16),
            f"{at}mlp.down_proj.weight": (16, 32),
        }
    tensors = {
        name: ("F16", shape, 2 * shape[0] * (shape[1] if len(shape) > 1 else 1)) for name, shape in shapes.items()
    }
    (path / "config.json").write_text(json.dumps(config))
    (path / "model.safetensors").write_bytes(safetensors_bytes(tensors))
    (path / "tokenizer.json").write_text(json.dumps(tokenizer_json()))
    (path / "tokenizer_config.json").write_text(
        json.dumps({"bos_token": "<|im_start|>", "eos_token": {"content": "<|im_end|>"}, "chat_template": "{{ m }}"})
    )


def tokenizer_json():
    """Byte-level BPE with two special tokens, one of them also in the vocabulary, and an added one."""
    vocabulary = {char: number for number, char in enumerate(BYTE_OF)} | {"ab": 256, "<|im_end|>": 257}
    flags = {"single_word": False, "lstrip": False, "rstrip": False, "normalized": False}
    added = [
        {"id": 257, "content": "<|im_end|>", "special": True, **flags},
        {"id": 258, "content": "<|im_start|>", "special": True, **flags},
        {"id": 259, "content": "<tool_call>", "special": False, **flags},
    ]
    level = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": True}
    return {
        "version": "1.0",
        "truncation": {"max_length": 4, "strategy": "LongestFirst", "stride": 0, "direction": "Right"},
        "padding": None,
        "added_tokens": added,
        "normalizer": None,
        "pre_tokenizer": {"type": "Sequence", "pretokenizers": [level]},
        "post_processor": {
            "type": "TemplateProcessing",
            "single": [{"SpecialToken": {"id": "<|im_start|>", "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}}],
            "pair": [{"Sequence": {"id": "A", "type_id": 0}}, {"Sequence": {"id": "B", "type_id": 0}}],
            "special_tokens": {"<|im_start|>": {"id": "<|im_start|>", "ids": [258], "tokens": ["<|im_start|>"]}},
        },
        "decoder": level,
        "model": {
            "type": "BPE",
            "dropout": None,
            "unk_token": None,
            "continuing_subword_prefix": None,
            "end_of_word_suffix": None,
            "fuse_unk": False,
            "byte_fallback": False,
            "ignore_merges": True,
            "vocab": vocabulary,
            "merges": [["a", "b"]],
        },
    }
