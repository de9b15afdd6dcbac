'use strict';

exports.echo = async ({ requestContext: { routeKey } }) => ({ statusCode: 200, body: routeKey });
