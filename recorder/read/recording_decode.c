#include <stdbool.h>

#include "recorder/read/gunzip.h"
#include "recorder/read/recording.h"
#include "recorder/read/source.h"

/* From stored bytes to events: source, gunzip, decoder, the caller. */
struct decoding {
    struct gunzip *gunzip;
    struct cast_decoder *decoder;
    int (*on_info)(void *context, const struct cast_info *info);
    cast_event_fn *on_event;
    void *context;
    struct error *error;
    bool info_given;
    bool stopped; /* by the caller's own return value, which is not a damage */
};

static int give_info(struct decoding *decoding)
{
    const struct cast_info *info = decoding->info_given ? NULL
                                                        : cast_decoder_info(decoding->decoder);
    if (!info)
        return 0;
    decoding->info_given = true;
    int rc = decoding->on_info ? decoding->on_info(decoding->context, info) : 0;
    decoding->stopped |= rc != 0;
    return rc;
}

static int take_event(void *context, const struct cast_event *event, struct error *error)
{
    struct decoding *decoding = context;
    if (decoding->stopped)
        return ERR_CANCELLED;
    int rc = give_info(decoding);
    if (rc)
        return rc;
    rc = decoding->on_event(decoding->context, event, error);
    decoding->stopped |= rc != 0;
    return rc;
}

static int take_text(void *context, const void *data, size_t length, struct error *error)
{
    struct decoding *decoding = context;
    int rc = cast_decoder_feed(decoding->decoder, data, length, error);
    return rc ? rc : give_info(decoding);
}

static int take_bytes(void *context, const void *data, size_t length)
{
    struct decoding *decoding = context;
    return gunzip_feed(decoding->gunzip, data, length, decoding->error);
}

int recording_decode(const struct recording_source *source,
                     int (*on_info)(void *context, const struct cast_info *info),
                     cast_event_fn *on_event, void *context, struct error *error)
{
    struct decoding decoding = {
        .on_info = on_info, .on_event = on_event, .context = context, .error = error};
    int rc = cast_decoder_new(take_event, &decoding, &decoding.decoder, error);
    if (!rc)
        rc = gunzip_new(take_text, &decoding, &decoding.gunzip, error);
    if (rc)
        goto out;
    rc = source_read(source, take_bytes, &decoding, error);
    if (!rc)
        rc = gunzip_finish(decoding.gunzip, error);
    if (decoding.stopped)
        goto out;
    /* The decoder holds the last event back; it is readable whatever came after it. */
    int end = cast_decoder_finish(decoding.decoder, rc ? NULL : error);
    if (!rc)
        rc = end;
    int told = decoding.stopped ? 0 : give_info(&decoding);
    if (told)
        rc = told;
    if (rc == ERR_DAMAGED && !decoding.stopped && source->path)
        error_prefix(error, "%s", source->path);
    else if (rc == ERR_DAMAGED && !decoding.stopped)
        error_prefix(error, "%s%s", store_url(source->store), source->key);
out:
    gunzip_free(decoding.gunzip);
    cast_decoder_free(decoding.decoder);
    return rc;
}
