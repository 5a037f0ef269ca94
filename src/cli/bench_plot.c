// Grouped bars as one SVG file: a group per task, a bar per method, the spread as a whisker, plain as the line at 1.
// Nothing but text is in it; colours follow the reader's light or dark scheme.
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "cli/bench_spec.h"

#define LEFT 56
#define TOP 92
#define HEIGHT 300
#define GAP 26
#define COLOURS 10
#define CHARACTER 6.6  // width of one at the size of the legend

// The same ten in both schemes; each stands out from white and from near black.
static const char *const colours[COLOURS] = {"#4269d0", "#e08a00", "#e4573d", "#1f9e89", "#3ca951", "#d6569a", "#8a5cf0", "#5b8ff9", "#9c6b4e", "#7c818c"};

typedef struct drawing {
    FILE *f;
    const json_t *rows;
    int n_bars, bar, group;  // methods without plain; widths
    double top;              // the highest value of the axis
    double width;
} drawing;

static double number(const json_t *row, const char *key) { return json_number_value(json_object_get(row, key)); }
static const char *text(const json_t *row, const char *key) { return json_string_value(json_object_get(row, key)); }

static void put_text(FILE *f, const char *t) {
    for (; *t; t++) {
        if (*t == '<') fputs("&lt;", f);
        else if (*t == '>') fputs("&gt;", f);
        else if (*t == '&') fputs("&amp;", f);
        else if (*t == '"') fputs("&quot;", f);
        else fputc((unsigned char)*t < 0x20 ? ' ' : *t, f);
    }
}

static double y_of(const drawing *d, double value) { return TOP + HEIGHT * (1 - (value < d->top ? value : d->top) / d->top); }

// Methods stand in the order of the first task's rows, plain first.
static int count_methods(const json_t *rows) {
    int n = 0;
    const char *first = text(json_array_get(rows, 0), "task");
    while ((size_t)n < json_array_size(rows) && !strcmp(text(json_array_get(rows, (size_t)n), "task"), first)) n++;
    return n;
}

static void measure(drawing *d) {
    double high = 1;
    int methods = count_methods(d->rows);
    size_t widest = 4;
    for (size_t i = 0; i < json_array_size(d->rows); i++) {
        const json_t *row = json_array_get(d->rows, i);
        high = fmax(high, number(row, "ratio") + number(row, "spread"));
        size_t n = strlen(text(row, "task"));
        if (n > widest) widest = n;
    }
    d->n_bars = methods > 1 ? methods - 1 : 1;
    d->bar = d->n_bars <= 3 ? 30 : d->n_bars <= 6 ? 22 : 15;
    d->group = d->n_bars * d->bar + GAP;
    if (d->group < (int)((double)widest * CHARACTER) + 12) d->group = (int)((double)widest * CHARACTER) + 12;
    d->top = ceil((high + 0.1) * 2) / 2;
    d->width = LEFT + d->group * (int)(json_array_size(d->rows) / (size_t)methods) + 20;
    if (d->width < 560) d->width = 560;
}

static double legend(const drawing *d, bool draw) {
    double x = LEFT, y = 62;
    for (int m = 0; m < d->n_bars; m++) {
        const char *name = text(json_array_get(d->rows, (size_t)m + 1), "method");
        double w = 26 + (double)strlen(name) * CHARACTER;
        if (x + w > d->width && x > LEFT) x = LEFT, y += 17;
        if (draw) {
            fprintf(d->f, "<rect class=\"c%d%s\" x=\"%.0f\" y=\"%.0f\" width=\"10\" height=\"10\" rx=\"2\"/><text x=\"%.0f\" y=\"%.0f\">", m % COLOURS,
                    m < COLOURS ? "" : " pale", x, y - 9, x + 15, y);
            put_text(d->f, name);
            fputs("</text>\n", d->f);
        }
        x += w;
    }
    return y;
}

static void axis(const drawing *d) {
    double step = d->top > 6 ? 2 : d->top > 3 ? 1 : 0.5;
    for (double v = 0; v <= d->top + 1e-9; v += step)
        fprintf(d->f, "<line class=\"grid\" x1=\"%d\" x2=\"%.0f\" y1=\"%.1f\" y2=\"%.1f\"/><text class=\"dim\" x=\"%d\" y=\"%.1f\" text-anchor=\"end\">%.1f×</text>\n",
                LEFT, d->width - 12, y_of(d, v), y_of(d, v), LEFT - 8, y_of(d, v) + 4, v);
}

static void bar(const drawing *d, const json_t *row, int m, double x) {
    double ratio = number(row, "ratio"), spread = number(row, "spread"), y = y_of(d, ratio), middle = x + d->bar / 2.0;
    fprintf(d->f, "<g><title>");
    put_text(d->f, text(row, "task"));
    fputs(", ", d->f);
    put_text(d->f, text(row, "method"));
    fprintf(d->f, ": %.2f ± %.2f, %.1f tokens/s, %.2f tokens and %.2f rows a forward, %.1f %% drafting</title>", ratio, spread,
            number(row, "tokens_per_s"), number(row, "tokens_per_forward"), number(row, "rows_per_forward"), 100 * number(row, "draft_share"));
    fprintf(d->f, "<rect class=\"c%d%s\" x=\"%.1f\" y=\"%.1f\" width=\"%d\" height=\"%.1f\" rx=\"1.5\"/>", m % COLOURS, m < COLOURS ? "" : " pale", x + 1, y,
            d->bar - 2, TOP + HEIGHT - y);
    double high = y_of(d, ratio + spread), low = y_of(d, ratio > spread ? ratio - spread : 0);
    if (spread > 0) fprintf(d->f, "<line class=\"ink\" x1=\"%.1f\" x2=\"%.1f\" y1=\"%.1f\" y2=\"%.1f\"/>", middle, middle, high, low);
    fputs("</g>\n", d->f);
}

static void value(const drawing *d, const json_t *row, double x) {
    double ratio = number(row, "ratio"), y = y_of(d, ratio + number(row, "spread")) - 4, middle = x + d->bar / 2.0;
    if (d->bar >= 30) fprintf(d->f, "<text class=\"value\" x=\"%.1f\" y=\"%.1f\" text-anchor=\"middle\">%.2f</text>\n", middle, y, ratio);
    else fprintf(d->f, "<text class=\"value\" transform=\"translate(%.1f %.1f) rotate(-90)\">%.2f</text>\n", middle + 3.5, y, ratio);
}

// Bars below the line of plain, figures above it.
static void groups(const drawing *d, bool values) {
    int methods = d->n_bars + 1;
    for (size_t i = 0; i + (size_t)methods <= json_array_size(d->rows); i += (size_t)methods) {
        double begin = LEFT + (double)(i / (size_t)methods) * d->group, x = begin + (d->group - d->n_bars * d->bar) / 2.0;
        const char *name = text(json_array_get(d->rows, i), "task");
        for (int m = 0; m < d->n_bars; m++) {
            const json_t *row = json_array_get(d->rows, i + (size_t)m + 1);
            if (values) value(d, row, x + m * d->bar);
            else bar(d, row, m, x + m * d->bar);
        }
        if (values) continue;
        fprintf(d->f, "<text class=\"%s\" x=\"%.1f\" y=\"%d\" text-anchor=\"middle\">", strcmp(name, "mean") ? "name" : "name strong", begin + d->group / 2.0,
                TOP + HEIGHT + 18);
        put_text(d->f, name);
        fputs("</text>\n", d->f);
    }
}

static void style(FILE *f) {
    fputs("<style>\nsvg{font:11px system-ui,-apple-system,'Segoe UI',sans-serif}\n.paper{fill:#fff}text{fill:#1c1e24}.dim{fill:#5d6370}.title{font-size:15px;"
          "font-weight:600}\n.strong{font-weight:600}.value{font-size:9.5px;paint-order:stroke;stroke:#fff;stroke-width:2.5px}.grid{stroke:#d9dce3;stroke-width:1}.ink{stroke:#1c1e24;stroke-width:1.2}\n"
          ".one{stroke:#1c1e24;stroke-width:1.2;stroke-dasharray:5 4}.pale{opacity:.55}\n", f);
    for (int i = 0; i < COLOURS; i++) fprintf(f, ".c%d{fill:%s}", i, colours[i]);
    fputs("\n@media (prefers-color-scheme:dark){.paper{fill:#15171c}text{fill:#e7e9ee}.dim{fill:#a2a8b5}.grid{stroke:#333842}.value{stroke:#15171c}.ink,.one{stroke:#e7e9ee}}\n"
          "</style>\n", f);
}

cop_status cop_spec_plot(const char *path, const json_t *rows, const char *title, const char *subtitle) {
    drawing d = {.rows = rows};
    if (!json_array_size(rows)) return cop_fail(COP_ERR_ARG, "%s: nothing to plot", path);
    d.f = fopen(path, "w");
    if (!d.f) return cop_fail(COP_ERR_IO, "%s: %s", path, strerror(errno));
    measure(&d);
    double shift = legend(&d, false) - 62;  // a legend of several lines moves the plot down
    fprintf(d.f, "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 %.0f %.0f\" width=\"%.0f\" height=\"%.0f\" role=\"img\">\n", d.width,
            TOP + HEIGHT + 34 + shift, d.width, TOP + HEIGHT + 34 + shift);
    style(d.f);
    fprintf(d.f, "<rect class=\"paper\" width=\"100%%\" height=\"100%%\"/>\n<text class=\"title\" x=\"%d\" y=\"24\">", 16);
    put_text(d.f, title);
    fputs("</text><text class=\"dim\" x=\"16\" y=\"41\">", d.f);
    put_text(d.f, subtitle);
    fputs("</text>\n", d.f);
    legend(&d, true);
    fprintf(d.f, "<g transform=\"translate(0 %.0f)\">\n", shift);
    axis(&d);
    groups(&d, false);
    fprintf(d.f, "<line class=\"one\" x1=\"%d\" x2=\"%.0f\" y1=\"%.1f\" y2=\"%.1f\"/>\n", LEFT, d.width - 12, y_of(&d, 1), y_of(&d, 1));
    groups(&d, true);
    fputs("</g>\n</svg>\n", d.f);
    bool failed = ferror(d.f) != 0;
    if (fclose(d.f) || failed) return cop_fail(COP_ERR_IO, "%s: cannot write", path);
    return COP_OK;
}
