"""What commands show of a model, gathered as plain data: no printing here, no file format, no options."""
