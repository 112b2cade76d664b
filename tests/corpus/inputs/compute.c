#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int compare(const void *a, const void *b) { return *(const int *)a - *(const int *)b; }

int main(int argc, char **argv) {
  int numbers[100];
  unsigned state = 1;
  double sum = 0;
  for (int i = 0; i < 100; i++) {
    state = state * 1103515245u + 12345u;
    numbers[i] = (state >> 16) % 1000;
    sum += numbers[i] / 3.0;
  }
  qsort(numbers, 100, sizeof numbers[0], compare);
  printf("%d %d %d %.6f\n", numbers[0], numbers[50], numbers[99], sum);
  for (int i = 1; i < argc; i++) printf("%s%c", argv[i], i + 1 < argc ? ' ' : '\n');
  return 42;
}
