"""Problems: frozen records of validated arrays, their families, and the files they are read from."""
