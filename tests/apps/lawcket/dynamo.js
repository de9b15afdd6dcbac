'use strict';

// A plugin that makes the calls of @lawcket/dynamo, which is not on npm.

const AWS = require('aws-sdk');

const documents = new AWS.DynamoDB.DocumentClient();

module.exports = ({ tableName: TableName, additionalSyncFields }) => async (event, { event: kind, ...connection }) => {
  if (!TableName) throw new Error('Must provide a tableName to sync clients with');
  const { connectionId } = connection;
  if (kind === 'connect') {
    await documents.put({ TableName, Item: { ...additionalSyncFields, ...connection } }).promise();
  } else if (kind === 'close') {
    await documents.delete({ TableName, Key: { connectionId } }).promise();
  }
};
