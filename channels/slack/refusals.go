package slack

// class is what follows from a refusal.
type class int

const (
	// passing refusals are tried again.
	passing class = iota
	// final ones are not.
	final
	// unfit is final for the message, which is tried once more as plain text.
	unfit
	// limit is a rate limit.
	limit
)

const (
	renew   = "create a new bot token under OAuth & Permissions of the Slack app, and configure it"
	passes  = "Slack has a problem that passes" //nolint:gosec // no password, only four letters of one
	content = "Slack does not take the message as it was rendered: check the template or the renderer"
)

// refusals are Slack's error codes, from its reference of the methods that are
// used, with what an operator is to do.
var refusals = map[string]struct {
	class class
	text  string
}{
	// The token.
	"not_authed":                {final, "no token arrived: is there a proxy that drops it?"},
	"invalid_auth":              {final, "the token is wrong, or calls from this address are not allowed: " + renew},
	"account_inactive":          {final, "the token belongs to a user or workspace that is gone: " + renew},
	"token_revoked":             {final, "the token was revoked: " + renew},
	"token_expired":             {final, "the token has expired. Tokens that rotate are not supported: turn token rotation off, and " + renew},
	"no_permission":             {final, "the token lacks a permission: add the scope under OAuth & Permissions of the Slack app and install the app again"},
	"missing_scope":             {final, "the token lacks a scope: add it under OAuth & Permissions of the Slack app and install the app again"},
	"not_allowed_token_type":    {final, "it is not a bot token (xoxb-…): " + renew},
	"access_denied":             {final, "the workspace does not allow it: ask its administrator to approve the app"},
	"team_access_not_granted":   {final, "the app is not installed in this workspace: install it"},
	"team_not_found":            {final, "the token's workspace is not known: " + renew},
	"ekm_access_denied":         {final, "the administrators have suspended messages to this channel"},
	"enterprise_is_restricted":  {final, "the organization does not let this method be called: ask its administrator"},
	"two_factor_setup_required": {final, "the token's user must set up two-factor authentication"},
	"accesslimited":             {final, "the workspace limits the access of apps: ask its administrator"},
	"as_user_not_supported":     {final, "this kind of token cannot post so: " + renew},
	"invalid_app_id":            {final, "the app is gone: " + renew},

	// The target.
	"channel_not_found":                     {final, "there is no such channel, or the app cannot see it: check the name, use the channel's id, and invite the app to private channels (/invite @app)"},
	"not_in_channel":                        {final, "the app is not in the channel: invite it there (/invite @app), or add the scope chat:write.public for public channels"},
	"is_archived":                           {final, "the channel is archived: unarchive it, or configure another one"},
	"invalid_channel":                       {final, "it is no channel: use the id from the channel's details"},
	"user_not_found":                        {final, "there is no such user: check the annotation slack.com/bot-notify"},
	"users_not_found":                       {final, "nobody in the workspace has this email address"},
	"user_not_visible":                      {final, "the app cannot see this user"},
	"user_disabled":                         {final, "the user was deactivated"},
	"cannot_dm_bot":                         {final, "the user is an app, which takes no direct messages"},
	"messages_tab_disabled":                 {final, "the app takes no direct messages: turn on the Messages tab under App Home of the Slack app"},
	"restricted_action":                     {final, "a setting of the workspace or channel keeps the app from posting there: ask its administrator, or use another channel"},
	"channel_is_limited_access":             {final, "the app may not post in this channel: ask for access"},
	"method_not_supported_for_channel_type": {final, "it is no place that apps can post to"},

	// The earlier message.
	"message_not_found":   {final, "the message is gone"},
	"cant_update_message": {final, "the message is not the app's own"},
	"edit_window_closed":  {final, "the workspace does not let messages be edited after so long"},
	"thread_not_found":    {final, "the thread is gone"},

	// The message.
	"msg_too_long":                      {unfit, content},
	"msg_blocks_too_long":               {unfit, content},
	"no_text":                           {unfit, content},
	"invalid_blocks":                    {unfit, content},
	"invalid_blocks_format":             {unfit, content},
	"block_mismatch":                    {unfit, content},
	"invalid_attachments":               {unfit, content},
	"too_many_attachments":              {unfit, content},
	"attachment_payload_limit_exceeded": {unfit, content},
	"invalid_arguments":                 {unfit, content},
	"invalid_arg_name":                  {final, "the proxy or apiURL changes what is sent"},
	"invalid_form_data":                 {final, "the proxy or apiURL changes what is sent"},
	"invalid_post_type":                 {final, "the proxy or apiURL changes what is sent"},
	"missing_post_type":                 {final, "the proxy or apiURL changes what is sent"},
	"unknown_method":                    {final, "apiURL is not the base of Slack's Web API, such as https://slack.com/api/"},

	// What passes.
	"internal_error":             {passing, passes},
	"fatal_error":                {passing, passes},
	"service_unavailable":        {passing, passes},
	"request_timeout":            {passing, "the request did not arrive whole"},
	"team_added_to_org":          {passing, "the workspace is being moved into an organization"},
	"org_login_required":         {passing, "the workspace is being moved into an organization"},
	"external_channel_migrating": {passing, "the shared channel is being moved"},
	"update_failed":              {passing, passes},

	"ratelimited":            {limit, "Slack limits the rate"},
	"rate_limited":           {limit, "Slack limits the rate: the app posted too many messages"},
	"message_limit_exceeded": {limit, "the workspace has sent too many messages"},
}

// gone are the refusals of an update after which a new message is posted.
var gone = map[string]bool{
	"message_not_found": true, "cant_update_message": true, "edit_window_closed": true,
	"channel_not_found": true, "not_in_channel": true, "is_archived": true,
	"thread_not_found": true, "is_inactive": true,
	"method_not_supported_for_channel_type": true, "invalid_channel": true,
}
