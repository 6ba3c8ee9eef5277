module github.com/vedette-hub/vedette

go 1.26.3
