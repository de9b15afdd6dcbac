'use strict';

// A service that Fanwire does not serve. There is no such region, so nothing leaves the machine but a look-up.

const AWS = require('aws-sdk');

const s3 = new AWS.S3({ region: 'xx-nowhere-1', maxRetries: 0 });

exports.handler = async () => {
  try {
    await s3.getObject({ Bucket: 'fanwire-test', Key: 'nothing' }).promise();
  } catch (error) {
    console.log(`UNSERVED ${JSON.stringify({ code: error.code })}`);
  }
  return { statusCode: 200 };
};
