/*
 * Two models in one program, both linked statically. Each was compiled with a --prefix of its own;
 * their headers may be included together.
 */
#include <stdio.h>
#include "narrow.hone/include/model.h"
#include "wide.hone/include/model.h"

static float picture[3 * 48 * 192];

int main(void) {
  hone_context *wide, *narrow;
  hone_tensor x, y;
  if (wide_open("wide.hone", NULL, &wide)) return puts(wide_last_error(NULL)), 1;
  if (narrow_open("narrow.hone", NULL, &narrow)) return puts(narrow_last_error(NULL)), 1;

  wide_input(0, &x);
  wide_output(0, &y);
  x.data = picture;
  if (wide_run(wide, &x, 1, &y, 1)) return puts(wide_last_error(wide)), 1;
  printf("wide   %.9g %.9g\n", ((float *)y.data)[0], ((float *)y.data)[1]);

  narrow_input(0, &x);
  narrow_output(0, &y);
  x.data = picture;
  if (narrow_run(narrow, &x, 1, &y, 1)) return puts(narrow_last_error(narrow)), 1;
  printf("narrow %.9g %.9g\n", ((float *)y.data)[0], ((float *)y.data)[1]);

  wide_close(wide);
  narrow_close(narrow);
  return 0;
}
