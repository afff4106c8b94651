"""Small quantised models on Hexagon's vector units (HVX), through TVM."""
