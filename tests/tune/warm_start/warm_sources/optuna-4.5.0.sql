BEGIN TRANSACTION;
CREATE TABLE alembic_version (
	version_num VARCHAR(32) NOT NULL, 
	CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num)
);
INSERT INTO "alembic_version" VALUES('v3.2.0.a');
CREATE TABLE studies (
	study_id INTEGER NOT NULL, 
	study_name VARCHAR(512) NOT NULL, 
	PRIMARY KEY (study_id)
);
INSERT INTO "studies" VALUES(1,'recipe');
INSERT INTO "studies" VALUES(2,'loss');
INSERT INTO "studies" VALUES(3,'front');
CREATE TABLE study_directions (
	study_direction_id INTEGER NOT NULL, 
	direction VARCHAR(8) NOT NULL, 
	study_id INTEGER NOT NULL, 
	objective INTEGER NOT NULL, 
	PRIMARY KEY (study_direction_id), 
	UNIQUE (study_id, objective), 
	FOREIGN KEY(study_id) REFERENCES studies (study_id)
);
INSERT INTO "study_directions" VALUES(1,'MAXIMIZE',1,0);
INSERT INTO "study_directions" VALUES(2,'MINIMIZE',2,0);
INSERT INTO "study_directions" VALUES(3,'MAXIMIZE',3,0);
INSERT INTO "study_directions" VALUES(4,'MINIMIZE',3,1);
CREATE TABLE study_system_attributes (
	study_system_attribute_id INTEGER NOT NULL, 
	study_id INTEGER, 
	"key" VARCHAR(512), 
	value_json TEXT, 
	PRIMARY KEY (study_system_attribute_id), 
	UNIQUE (study_id, "key"), 
	FOREIGN KEY(study_id) REFERENCES studies (study_id)
);
CREATE TABLE study_user_attributes (
	study_user_attribute_id INTEGER NOT NULL, 
	study_id INTEGER, 
	"key" VARCHAR(512), 
	value_json TEXT, 
	PRIMARY KEY (study_user_attribute_id), 
	UNIQUE (study_id, "key"), 
	FOREIGN KEY(study_id) REFERENCES studies (study_id)
);
CREATE TABLE trial_heartbeats (
	trial_heartbeat_id INTEGER NOT NULL, 
	trial_id INTEGER NOT NULL, 
	heartbeat DATETIME NOT NULL, 
	PRIMARY KEY (trial_heartbeat_id), 
	UNIQUE (trial_id), 
	FOREIGN KEY(trial_id) REFERENCES trials (trial_id)
);
CREATE TABLE trial_intermediate_values (
	trial_intermediate_value_id INTEGER NOT NULL, 
	trial_id INTEGER NOT NULL, 
	step INTEGER NOT NULL, 
	intermediate_value FLOAT, 
	intermediate_value_type VARCHAR(7) NOT NULL, 
	PRIMARY KEY (trial_intermediate_value_id), 
	UNIQUE (trial_id, step), 
	FOREIGN KEY(trial_id) REFERENCES trials (trial_id)
);
INSERT INTO "trial_intermediate_values" VALUES(1,1,1,1.96261144571634211786e+01,'FINITE');
INSERT INTO "trial_intermediate_values" VALUES(2,2,1,NULL,'INF_POS');
INSERT INTO "trial_intermediate_values" VALUES(3,3,1,1.17654309091274420493e+01,'FINITE');
INSERT INTO "trial_intermediate_values" VALUES(4,4,1,2.06271285842406904009e+01,'FINITE');
INSERT INTO "trial_intermediate_values" VALUES(5,5,1,1.8041859116401425922e+01,'FINITE');
INSERT INTO "trial_intermediate_values" VALUES(6,6,1,1.33078866403332050081e+01,'FINITE');
INSERT INTO "trial_intermediate_values" VALUES(7,7,1,1.79065618767047212149e+01,'FINITE');
INSERT INTO "trial_intermediate_values" VALUES(8,8,1,1.58593780917595132966e+01,'FINITE');
INSERT INTO "trial_intermediate_values" VALUES(9,9,1,1.44866178211792053787e+01,'FINITE');
CREATE TABLE trial_params (
	param_id INTEGER NOT NULL, 
	trial_id INTEGER, 
	param_name VARCHAR(512), 
	param_value FLOAT, 
	distribution_json TEXT, 
	PRIMARY KEY (param_id), 
	UNIQUE (trial_id, param_name), 
	FOREIGN KEY(trial_id) REFERENCES trials (trial_id)
);
INSERT INTO "trial_params" VALUES(1,1,'contrastive.weight',1.56766771955060768561e+00,'{"name": "FloatDistribution", "attributes": {"step": null, "low": 0.01, "high": 100.0, "log": true}}');
INSERT INTO "trial_params" VALUES(2,1,'temperature',2.59513150884758125869e-01,'{"name": "FloatDistribution", "attributes": {"step": null, "low": 0.05, "high": 0.5, "log": true}}');
INSERT INTO "trial_params" VALUES(3,1,'head_kind',0.0,'{"name": "CategoricalDistribution", "attributes": {"choices": ["none", "mlp"]}}');
INSERT INTO "trial_params" VALUES(4,1,'train.batch_size',1.0,'{"name": "CategoricalDistribution", "attributes": {"choices": ["8", "16"]}}');
INSERT INTO "trial_params" VALUES(5,1,'dropout',0.25,'{"name": "FloatDistribution", "attributes": {"step": 0.25, "low": 0.0, "high": 0.5, "log": false}}');
INSERT INTO "trial_params" VALUES(6,2,'contrastive.weight',3.69055772921376359354e+01,'{"name": "FloatDistribution", "attributes": {"step": null, "low": 0.01, "high": 100.0, "log": true}}');
INSERT INTO "trial_params" VALUES(7,2,'temperature',4.59867549628405813955e-01,'{"name": "FloatDistribution", "attributes": {"step": null, "low": 0.05, "high": 0.5, "log": true}}');
INSERT INTO "trial_params" VALUES(8,2,'head_kind',1.0,'{"name": "CategoricalDistribution", "attributes": {"choices": ["none", "mlp"]}}');
INSERT INTO "trial_params" VALUES(9,2,'Head.Layers',2.0,'{"name": "IntDistribution", "attributes": {"log": false, "step": 1, "low": 1, "high": 3}}');
INSERT INTO "trial_params" VALUES(10,2,'train.batch_size',1.0,'{"name": "CategoricalDistribution", "attributes": {"choices": ["8", "16"]}}');
INSERT INTO "trial_params" VALUES(11,2,'dropout',0.0,'{"name": "FloatDistribution", "attributes": {"step": 0.25, "low": 0.0, "high": 0.5, "log": false}}');
INSERT INTO "trial_params" VALUES(12,3,'contrastive.weight',2.23109056074430461835e-02,'{"name": "FloatDistribution", "attributes": {"step": null, "low": 0.01, "high": 100.0, "log": true}}');
INSERT INTO "trial_params" VALUES(13,3,'temperature',5.23827629554325796545e-02,'{"name": "FloatDistribution", "attributes": {"step": null, "low": 0.05, "high": 0.5, "log": true}}');
INSERT INTO "trial_params" VALUES(14,3,'head_kind',0.0,'{"name": "CategoricalDistribution", "attributes": {"choices": ["none", "mlp"]}}');
INSERT INTO "trial_params" VALUES(15,3,'train.batch_size',1.0,'{"name": "CategoricalDistribution", "attributes": {"choices": ["8", "16"]}}');
INSERT INTO "trial_params" VALUES(16,3,'dropout',0.5,'{"name": "FloatDistribution", "attributes": {"step": 0.25, "low": 0.0, "high": 0.5, "log": false}}');
INSERT INTO "trial_params" VALUES(17,4,'contrastive.weight',7.01321977994579626169e-01,'{"name": "FloatDistribution", "attributes": {"step": null, "low": 0.01, "high": 100.0, "log": true}}');
INSERT INTO "trial_params" VALUES(18,4,'temperature',3.01647118202146402587e-01,'{"name": "FloatDistribution", "attributes": {"step": null, "low": 0.05, "high": 0.5, "log": true}}');
INSERT INTO "trial_params" VALUES(19,4,'head_kind',1.0,'{"name": "CategoricalDistribution", "attributes": {"choices": ["none", "mlp"]}}');
INSERT INTO "trial_params" VALUES(20,4,'Head.Layers',1.0,'{"name": "IntDistribution", "attributes": {"log": false, "step": 1, "low": 1, "high": 3}}');
INSERT INTO "trial_params" VALUES(21,4,'train.batch_size',0.0,'{"name": "CategoricalDistribution", "attributes": {"choices": ["8", "16"]}}');
INSERT INTO "trial_params" VALUES(22,4,'dropout',0.25,'{"name": "FloatDistribution", "attributes": {"step": 0.25, "low": 0.0, "high": 0.5, "log": false}}');
INSERT INTO "trial_params" VALUES(23,5,'contrastive.weight',1.14346387434721988296e-01,'{"name": "FloatDistribution", "attributes": {"step": null, "low": 0.01, "high": 100.0, "log": true}}');
INSERT INTO "trial_params" VALUES(24,5,'temperature',2.97306013610085351217e-01,'{"name": "FloatDistribution", "attributes": {"step": null, "low": 0.05, "high": 0.5, "log": true}}');
INSERT INTO "trial_params" VALUES(25,5,'head_kind',1.0,'{"name": "CategoricalDistribution", "attributes": {"choices": ["none", "mlp"]}}');
INSERT INTO "trial_params" VALUES(26,5,'Head.Layers',1.0,'{"name": "IntDistribution", "attributes": {"log": false, "step": 1, "low": 1, "high": 3}}');
INSERT INTO "trial_params" VALUES(27,5,'train.batch_size',0.0,'{"name": "CategoricalDistribution", "attributes": {"choices": ["8", "16"]}}');
INSERT INTO "trial_params" VALUES(28,5,'dropout',0.25,'{"name": "FloatDistribution", "attributes": {"step": 0.25, "low": 0.0, "high": 0.5, "log": false}}');
INSERT INTO "trial_params" VALUES(29,6,'contrastive.weight',5.9565160187105689717e+01,'{"name": "FloatDistribution", "attributes": {"step": null, "low": 0.01, "high": 100.0, "log": true}}');
INSERT INTO "trial_params" VALUES(30,6,'temperature',2.40320214766581607968e-01,'{"name": "FloatDistribution", "attributes": {"step": null, "low": 0.05, "high": 0.5, "log": true}}');
INSERT INTO "trial_params" VALUES(31,6,'head_kind',1.0,'{"name": "CategoricalDistribution", "attributes": {"choices": ["none", "mlp"]}}');
INSERT INTO "trial_params" VALUES(32,6,'Head.Layers',3.0,'{"name": "IntDistribution", "attributes": {"log": false, "step": 1, "low": 1, "high": 3}}');
INSERT INTO "trial_params" VALUES(33,6,'train.batch_size',1.0,'{"name": "CategoricalDistribution", "attributes": {"choices": ["8", "16"]}}');
INSERT INTO "trial_params" VALUES(34,6,'dropout',0.5,'{"name": "FloatDistribution", "attributes": {"step": 0.25, "low": 0.0, "high": 0.5, "log": false}}');
INSERT INTO "trial_params" VALUES(35,7,'contrastive.weight',6.94272949243015108367e-02,'{"name": "FloatDistribution", "attributes": {"step": null, "low": 0.01, "high": 100.0, "log": true}}');
INSERT INTO "trial_params" VALUES(36,7,'temperature',6.72815986482022537762e-02,'{"name": "FloatDistribution", "attributes": {"step": null, "low": 0.05, "high": 0.5, "log": true}}');
INSERT INTO "trial_params" VALUES(37,7,'head_kind',1.0,'{"name": "CategoricalDistribution", "attributes": {"choices": ["none", "mlp"]}}');
INSERT INTO "trial_params" VALUES(38,7,'Head.Layers',2.0,'{"name": "IntDistribution", "attributes": {"log": false, "step": 1, "low": 1, "high": 3}}');
INSERT INTO "trial_params" VALUES(39,7,'train.batch_size',1.0,'{"name": "CategoricalDistribution", "attributes": {"choices": ["8", "16"]}}');
INSERT INTO "trial_params" VALUES(40,7,'dropout',0.0,'{"name": "FloatDistribution", "attributes": {"step": 0.25, "low": 0.0, "high": 0.5, "log": false}}');
INSERT INTO "trial_params" VALUES(41,8,'contrastive.weight',6.84710557668404690145e-02,'{"name": "FloatDistribution", "attributes": {"step": null, "low": 0.01, "high": 100.0, "log": true}}');
INSERT INTO "trial_params" VALUES(42,8,'temperature',0.0724902374309024,'{"name": "FloatDistribution", "attributes": {"step": null, "low": 0.05, "high": 0.5, "log": true}}');
INSERT INTO "trial_params" VALUES(43,8,'head_kind',0.0,'{"name": "CategoricalDistribution", "attributes": {"choices": ["none", "mlp"]}}');
INSERT INTO "trial_params" VALUES(44,8,'train.batch_size',0.0,'{"name": "CategoricalDistribution", "attributes": {"choices": ["8", "16"]}}');
INSERT INTO "trial_params" VALUES(45,8,'dropout',0.0,'{"name": "FloatDistribution", "attributes": {"step": 0.25, "low": 0.0, "high": 0.5, "log": false}}');
INSERT INTO "trial_params" VALUES(46,9,'contrastive.weight',2.76376151253142632313e-02,'{"name": "FloatDistribution", "attributes": {"step": null, "low": 0.01, "high": 100.0, "log": true}}');
INSERT INTO "trial_params" VALUES(47,9,'temperature',2.26620708929512554297e-01,'{"name": "FloatDistribution", "attributes": {"step": null, "low": 0.05, "high": 0.5, "log": true}}');
INSERT INTO "trial_params" VALUES(48,9,'head_kind',1.0,'{"name": "CategoricalDistribution", "attributes": {"choices": ["none", "mlp"]}}');
INSERT INTO "trial_params" VALUES(49,9,'Head.Layers',2.0,'{"name": "IntDistribution", "attributes": {"log": false, "step": 1, "low": 1, "high": 3}}');
INSERT INTO "trial_params" VALUES(50,9,'train.batch_size',0.0,'{"name": "CategoricalDistribution", "attributes": {"choices": ["8", "16"]}}');
INSERT INTO "trial_params" VALUES(51,9,'dropout',0.5,'{"name": "FloatDistribution", "attributes": {"step": 0.25, "low": 0.0, "high": 0.5, "log": false}}');
INSERT INTO "trial_params" VALUES(52,12,'contrastive.weight',4.65680463791956877894e-01,'{"name": "FloatDistribution", "attributes": {"step": null, "low": 0.01, "high": 100.0, "log": true}}');
INSERT INTO "trial_params" VALUES(53,12,'temperature',2.62599864571398500245e-01,'{"name": "FloatDistribution", "attributes": {"step": null, "low": 0.05, "high": 0.5, "log": true}}');
INSERT INTO "trial_params" VALUES(54,12,'head_kind',1.0,'{"name": "CategoricalDistribution", "attributes": {"choices": ["none", "mlp"]}}');
INSERT INTO "trial_params" VALUES(55,12,'Head.Layers',1.0,'{"name": "IntDistribution", "attributes": {"log": false, "step": 1, "low": 1, "high": 3}}');
INSERT INTO "trial_params" VALUES(56,12,'train.batch_size',1.0,'{"name": "CategoricalDistribution", "attributes": {"choices": ["8", "16"]}}');
INSERT INTO "trial_params" VALUES(57,12,'dropout',0.25,'{"name": "FloatDistribution", "attributes": {"step": 0.25, "low": 0.0, "high": 0.5, "log": false}}');
INSERT INTO "trial_params" VALUES(58,13,'contrastive.weight',3.86429165355265391568e-01,'{"name": "FloatDistribution", "attributes": {"step": null, "low": 0.01, "high": 100.0, "log": true}}');
INSERT INTO "trial_params" VALUES(59,13,'temperature',1.72896713601765478207e-01,'{"name": "FloatDistribution", "attributes": {"step": null, "low": 0.05, "high": 0.5, "log": true}}');
INSERT INTO "trial_params" VALUES(60,13,'head_kind',1.0,'{"name": "CategoricalDistribution", "attributes": {"choices": ["none", "mlp"]}}');
INSERT INTO "trial_params" VALUES(61,13,'Head.Layers',1.0,'{"name": "IntDistribution", "attributes": {"log": false, "step": 1, "low": 1, "high": 3}}');
INSERT INTO "trial_params" VALUES(62,13,'train.batch_size',0.0,'{"name": "CategoricalDistribution", "attributes": {"choices": ["8", "16"]}}');
INSERT INTO "trial_params" VALUES(63,13,'dropout',0.5,'{"name": "FloatDistribution", "attributes": {"step": 0.25, "low": 0.0, "high": 0.5, "log": false}}');
INSERT INTO "trial_params" VALUES(64,14,'contrastive.weight',5.54599672224104778273e-01,'{"name": "FloatDistribution", "attributes": {"step": null, "low": 0.01, "high": 100.0, "log": true}}');
INSERT INTO "trial_params" VALUES(65,14,'temperature',5.3075761778375578348e-02,'{"name": "FloatDistribution", "attributes": {"step": null, "low": 0.05, "high": 0.5, "log": true}}');
INSERT INTO "trial_params" VALUES(66,14,'head_kind',0.0,'{"name": "CategoricalDistribution", "attributes": {"choices": ["none", "mlp"]}}');
INSERT INTO "trial_params" VALUES(67,14,'train.batch_size',0.0,'{"name": "CategoricalDistribution", "attributes": {"choices": ["8", "16"]}}');
INSERT INTO "trial_params" VALUES(68,14,'dropout',0.0,'{"name": "FloatDistribution", "attributes": {"step": 0.25, "low": 0.0, "high": 0.5, "log": false}}');
INSERT INTO "trial_params" VALUES(69,15,'contrastive.weight',2.99974173486551753953e+00,'{"name": "FloatDistribution", "attributes": {"step": null, "low": 0.01, "high": 100.0, "log": true}}');
INSERT INTO "trial_params" VALUES(70,15,'temperature',9.96838213098279329882e-02,'{"name": "FloatDistribution", "attributes": {"step": null, "low": 0.05, "high": 0.5, "log": true}}');
INSERT INTO "trial_params" VALUES(71,15,'head_kind',1.0,'{"name": "CategoricalDistribution", "attributes": {"choices": ["none", "mlp"]}}');
INSERT INTO "trial_params" VALUES(72,15,'Head.Layers',2.0,'{"name": "IntDistribution", "attributes": {"log": false, "step": 1, "low": 1, "high": 3}}');
INSERT INTO "trial_params" VALUES(73,15,'train.batch_size',1.0,'{"name": "CategoricalDistribution", "attributes": {"choices": ["8", "16"]}}');
INSERT INTO "trial_params" VALUES(74,15,'dropout',0.0,'{"name": "FloatDistribution", "attributes": {"step": 0.25, "low": 0.0, "high": 0.5, "log": false}}');
CREATE TABLE trial_system_attributes (
	trial_system_attribute_id INTEGER NOT NULL, 
	trial_id INTEGER, 
	"key" VARCHAR(512), 
	value_json TEXT, 
	PRIMARY KEY (trial_system_attribute_id), 
	UNIQUE (trial_id, "key"), 
	FOREIGN KEY(trial_id) REFERENCES trials (trial_id)
);
INSERT INTO "trial_system_attributes" VALUES(1,11,'fixed_params','{"temperature": 0.1}');
CREATE TABLE trial_user_attributes (
	trial_user_attribute_id INTEGER NOT NULL, 
	trial_id INTEGER, 
	"key" VARCHAR(512), 
	value_json TEXT, 
	PRIMARY KEY (trial_user_attribute_id), 
	UNIQUE (trial_id, "key"), 
	FOREIGN KEY(trial_id) REFERENCES trials (trial_id)
);
CREATE TABLE trial_values (
	trial_value_id INTEGER NOT NULL, 
	trial_id INTEGER NOT NULL, 
	objective INTEGER NOT NULL, 
	value FLOAT, 
	value_type VARCHAR(7) NOT NULL, 
	PRIMARY KEY (trial_value_id), 
	UNIQUE (trial_id, objective), 
	FOREIGN KEY(trial_id) REFERENCES trials (trial_id)
);
INSERT INTO "trial_values" VALUES(1,1,0,1.96261144571634211786e+01,'FINITE');
INSERT INTO "trial_values" VALUES(2,2,0,1.41728004115654044876e+01,'FINITE');
INSERT INTO "trial_values" VALUES(3,3,0,1.17654309091274420493e+01,'FINITE');
INSERT INTO "trial_values" VALUES(4,6,0,NULL,'INF_POS');
INSERT INTO "trial_values" VALUES(5,7,0,1.79065618767047212149e+01,'FINITE');
INSERT INTO "trial_values" VALUES(6,8,0,1.58593780917595132966e+01,'FINITE');
INSERT INTO "trial_values" VALUES(7,9,0,1.44866178211792053787e+01,'FINITE');
INSERT INTO "trial_values" VALUES(8,12,0,-2.04069034456567770523e+01,'FINITE');
INSERT INTO "trial_values" VALUES(9,13,0,-2.03155694763158969342e+01,'FINITE');
INSERT INTO "trial_values" VALUES(10,14,0,1.97502849157346638264e+01,'FINITE');
INSERT INTO "trial_values" VALUES(11,14,1,0.0,'FINITE');
INSERT INTO "trial_values" VALUES(12,15,0,2.12174891348075540515e+01,'FINITE');
INSERT INTO "trial_values" VALUES(13,15,1,1.0,'FINITE');
CREATE TABLE trials (
	trial_id INTEGER NOT NULL, 
	number INTEGER, 
	study_id INTEGER, 
	state VARCHAR(8) NOT NULL, 
	datetime_start DATETIME, 
	datetime_complete DATETIME, 
	PRIMARY KEY (trial_id), 
	FOREIGN KEY(study_id) REFERENCES studies (study_id)
);
INSERT INTO "trials" VALUES(1,0,1,'COMPLETE','2026-11-24 09:54:25.491218','2026-11-24 09:54:25.512644');
INSERT INTO "trials" VALUES(2,1,1,'COMPLETE','2026-11-24 09:54:25.519589','2026-11-24 09:54:25.535077');
INSERT INTO "trials" VALUES(3,2,1,'PRUNED','2026-11-24 09:54:25.539193','2026-11-24 09:54:25.552859');
INSERT INTO "trials" VALUES(4,3,1,'FAIL','2026-11-24 09:54:25.556730','2026-11-24 09:54:25.571409');
INSERT INTO "trials" VALUES(5,4,1,'FAIL','2026-11-24 09:54:25.574846','2026-11-24 09:54:25.590121');
INSERT INTO "trials" VALUES(6,5,1,'COMPLETE','2026-11-24 09:54:25.594262','2026-11-24 09:54:25.611641');
INSERT INTO "trials" VALUES(7,6,1,'COMPLETE','2026-11-24 09:54:25.615748','2026-11-24 09:54:25.632096');
INSERT INTO "trials" VALUES(8,7,1,'COMPLETE','2026-11-24 09:54:25.636181','2026-11-24 09:54:25.651507');
INSERT INTO "trials" VALUES(9,8,1,'COMPLETE','2026-11-24 09:54:25.655470','2026-11-24 09:54:25.670599');
INSERT INTO "trials" VALUES(10,9,1,'RUNNING','2026-11-24 09:54:25.672112',NULL);
INSERT INTO "trials" VALUES(11,10,1,'WAITING',NULL,NULL);
INSERT INTO "trials" VALUES(12,0,2,'COMPLETE','2026-11-24 09:54:25.695567','2026-11-24 09:54:25.713904');
INSERT INTO "trials" VALUES(13,1,2,'COMPLETE','2026-11-24 09:54:25.719207','2026-11-24 09:54:25.732807');
INSERT INTO "trials" VALUES(14,0,3,'COMPLETE','2026-11-24 09:54:25.752460','2026-11-24 09:54:25.769576');
INSERT INTO "trials" VALUES(15,1,3,'COMPLETE','2026-11-24 09:54:25.774705','2026-11-24 09:54:25.788829');
CREATE TABLE version_info (
	version_info_id INTEGER NOT NULL, 
	schema_version INTEGER, 
	library_version VARCHAR(256), 
	PRIMARY KEY (version_info_id), 
	CHECK (version_info_id=1)
);
INSERT INTO "version_info" VALUES(1,12,'4.5.0');
CREATE UNIQUE INDEX ix_studies_study_name ON studies (study_name);
CREATE INDEX ix_trials_study_id ON trials (study_id);
COMMIT;
