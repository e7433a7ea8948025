#include <stdlib.h>

#include "recorder/transfer/sftp.h"

void sftp_requests_free(struct sftp_requests *requests)
{
    for (uint32_t i = requests->first; i < requests->end; i++) {
        kept_name_free(&requests->list[i].path);
        kept_name_free(&requests->list[i].to);
        kept_name_free(&requests->list[i].detail);
    }
    free(requests->list);
    *requests = (struct sftp_requests){0};
}

/* Takes the holes out. */
static void close_up(struct sftp_requests *requests)
{
    uint32_t to = 0;
    for (uint32_t i = requests->first; i < requests->end; i++)
        if (requests->list[i].waiting)
            requests->list[to++] = requests->list[i];
    requests->first = 0;
    requests->end = to;
}

int sftp_request_add(struct sftp_requests *requests, struct sftp_request **request)
{
    if (requests->waiting == SFTP_REQUESTS)
        return ERR_LIMIT;
    if (requests->end == requests->capacity && requests->waiting < requests->end / 2)
        close_up(requests);
    if (requests->end == requests->capacity) {
        uint32_t capacity = requests->capacity ? requests->capacity * 2 : 8;
        struct sftp_request *list = reallocarray(requests->list, capacity, sizeof(*list));
        if (!list)
            return ERR_NO_MEMORY;
        requests->list = list;
        requests->capacity = capacity;
    }
    *request = &requests->list[requests->end++];
    **request = (struct sftp_request){.waiting = true};
    requests->waiting++;
    return 0;
}

struct sftp_request *sftp_request_find(const struct sftp_requests *requests, uint32_t id)
{
    for (uint32_t i = requests->first; i < requests->end; i++)
        if (requests->list[i].waiting && requests->list[i].id == id)
            return &requests->list[i];
    return NULL;
}

void sftp_request_done(struct sftp_requests *requests, struct sftp_request *request,
                       struct sftp_files *files)
{
    files->names -= request->path.length + request->to.length + request->detail.length;
    kept_name_free(&request->path);
    kept_name_free(&request->to);
    kept_name_free(&request->detail);
    request->waiting = false;
    requests->waiting--;
    while (requests->first < requests->end && !requests->list[requests->first].waiting)
        requests->first++;
    if (requests->first == requests->end)
        requests->first = requests->end = 0;
}

int sftp_request_tell(const struct sftp_request *request, const char *result,
                      const struct transfer_sink *sink)
{
    const struct transfer_operation operation = {
        .op = (enum transfer_op)request->op,
        .path = kept_name_view(&request->path),
        .to = kept_name_view(&request->to),
        .detail = request->detail.bytes,
        .result = result,
        .counted = request->op == TRANSFER_COPY && request->length, /* 0: to the end */
        .bytes = request->length,
        .offset = request->offset,
        .unhashed = request->op == TRANSFER_COPY ? "the far side copied it by itself" : NULL,
        .since_ns = request->time_ns,
    };
    return request->op ? sink->operation(sink->context, &operation) : 0;
}

static void walk_request(struct sftp_request *request, struct state_walk *walk)
{
    state_u8(walk, &request->type);
    state_u8(walk, &request->op);
    state_u32(walk, &request->id);
    state_u32(walk, &request->flags);
    state_u64(walk, &request->file);
    state_u64(walk, &request->target);
    state_u64(walk, &request->offset);
    state_u64(walk, &request->length);
    state_i64(walk, &request->time_ns);
    state_name(walk, &request->path);
    state_name(walk, &request->to);
    state_name(walk, &request->detail);
    if (!walk->rc && request->op >= TRANSFER_OPS)
        walk->rc = ERR_DAMAGED;
}

void sftp_requests_walk(struct sftp_requests *requests, struct sftp_files *files,
                        struct state_walk *walk)
{
    uint32_t count = requests->waiting;
    state_count(walk, &count, SFTP_REQUESTS);
    for (uint32_t i = requests->first; walk->out && i < requests->end; i++)
        if (requests->list[i].waiting)
            walk_request(&requests->list[i], walk);
    for (uint32_t i = 0; !walk->out && !walk->rc && i < count; i++) {
        struct sftp_request *request;
        walk->rc = sftp_request_add(requests, &request);
        if (walk->rc)
            return;
        walk_request(request, walk);
        files->names += request->path.length + request->to.length + request->detail.length;
    }
}
