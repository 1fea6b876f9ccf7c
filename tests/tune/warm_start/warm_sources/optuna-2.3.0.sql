BEGIN TRANSACTION;
CREATE TABLE alembic_version (
	version_num VARCHAR(32) NOT NULL, 
	CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num)
);
INSERT INTO "alembic_version" VALUES('v1.3.0.a');
CREATE TABLE studies (
	study_id INTEGER NOT NULL, 
	study_name VARCHAR(512) NOT NULL, 
	direction VARCHAR(8) NOT NULL, 
	PRIMARY KEY (study_id), 
	CONSTRAINT studydirection CHECK (direction IN ('NOT_SET', 'MINIMIZE', 'MAXIMIZE'))
);
INSERT INTO "studies" VALUES(1,'recipe','MAXIMIZE');
INSERT INTO "studies" VALUES(2,'loss','MINIMIZE');
CREATE TABLE study_system_attributes (
	study_system_attribute_id INTEGER NOT NULL, 
	study_id INTEGER, 
	"key" VARCHAR(512), 
	value_json VARCHAR(2048), 
	PRIMARY KEY (study_system_attribute_id), 
	UNIQUE (study_id, "key"), 
	FOREIGN KEY(study_id) REFERENCES studies (study_id)
);
CREATE TABLE study_user_attributes (
	study_user_attribute_id INTEGER NOT NULL, 
	study_id INTEGER, 
	"key" VARCHAR(512), 
	value_json VARCHAR(2048), 
	PRIMARY KEY (study_user_attribute_id), 
	UNIQUE (study_id, "key"), 
	FOREIGN KEY(study_id) REFERENCES studies (study_id)
);
CREATE TABLE trial_params (
	param_id INTEGER NOT NULL, 
	trial_id INTEGER, 
	param_name VARCHAR(512), 
	param_value FLOAT, 
	distribution_json VARCHAR(2048), 
	PRIMARY KEY (param_id), 
	UNIQUE (trial_id, param_name), 
	FOREIGN KEY(trial_id) REFERENCES trials (trial_id)
);
INSERT INTO "trial_params" VALUES(1,1,'contrastive.weight',1.56766771955060635335e+00,'{"name": "LogUniformDistribution", "attributes": {"low": 0.01, "high": 100}}');
INSERT INTO "trial_params" VALUES(2,1,'temperature',2.5951315088475818138e-01,'{"name": "LogUniformDistribution", "attributes": {"low": 0.05, "high": 0.5}}');
INSERT INTO "trial_params" VALUES(3,1,'head_kind',1.0,'{"name": "CategoricalDistribution", "attributes": {"choices": ["none", "mlp"]}}');
INSERT INTO "trial_params" VALUES(4,1,'Head.Layers',2.0,'{"name": "IntUniformDistribution", "attributes": {"low": 1, "high": 3, "step": 1}}');
INSERT INTO "trial_params" VALUES(5,1,'train.batch_size',1.0,'{"name": "CategoricalDistribution", "attributes": {"choices": ["8", "16"]}}');
INSERT INTO "trial_params" VALUES(6,1,'dropout',0.25,'{"name": "DiscreteUniformDistribution", "attributes": {"low": 0.0, "high": 0.5, "q": 0.25}}');
INSERT INTO "trial_params" VALUES(7,2,'contrastive.weight',5.62793204741516617239e-01,'{"name": "LogUniformDistribution", "attributes": {"low": 0.01, "high": 100}}');
INSERT INTO "trial_params" VALUES(8,2,'temperature',3.89711305758047354963e-01,'{"name": "LogUniformDistribution", "attributes": {"low": 0.05, "high": 0.5}}');
INSERT INTO "trial_params" VALUES(9,2,'head_kind',0.0,'{"name": "CategoricalDistribution", "attributes": {"choices": ["none", "mlp"]}}');
INSERT INTO "trial_params" VALUES(10,2,'train.batch_size',0.0,'{"name": "CategoricalDistribution", "attributes": {"choices": ["8", "16"]}}');
INSERT INTO "trial_params" VALUES(11,2,'dropout',0.25,'{"name": "DiscreteUniformDistribution", "attributes": {"low": 0.0, "high": 0.5, "q": 0.25}}');
INSERT INTO "trial_params" VALUES(12,3,'contrastive.weight',1.46858859892008428715e+01,'{"name": "LogUniformDistribution", "attributes": {"low": 0.01, "high": 100}}');
INSERT INTO "trial_params" VALUES(13,3,'temperature',1.68991524607066984087e-01,'{"name": "LogUniformDistribution", "attributes": {"low": 0.05, "high": 0.5}}');
INSERT INTO "trial_params" VALUES(14,3,'head_kind',0.0,'{"name": "CategoricalDistribution", "attributes": {"choices": ["none", "mlp"]}}');
INSERT INTO "trial_params" VALUES(15,3,'train.batch_size',1.0,'{"name": "CategoricalDistribution", "attributes": {"choices": ["8", "16"]}}');
INSERT INTO "trial_params" VALUES(16,3,'dropout',0.5,'{"name": "DiscreteUniformDistribution", "attributes": {"low": 0.0, "high": 0.5, "q": 0.25}}');
INSERT INTO "trial_params" VALUES(17,4,'contrastive.weight',0.0192373050965465,'{"name": "LogUniformDistribution", "attributes": {"low": 0.01, "high": 100}}');
INSERT INTO "trial_params" VALUES(18,4,'temperature',6.11081736435447192556e-02,'{"name": "LogUniformDistribution", "attributes": {"low": 0.05, "high": 0.5}}');
INSERT INTO "trial_params" VALUES(19,4,'head_kind',1.0,'{"name": "CategoricalDistribution", "attributes": {"choices": ["none", "mlp"]}}');
INSERT INTO "trial_params" VALUES(20,4,'Head.Layers',1.0,'{"name": "IntUniformDistribution", "attributes": {"low": 1, "high": 3, "step": 1}}');
INSERT INTO "trial_params" VALUES(21,4,'train.batch_size',1.0,'{"name": "CategoricalDistribution", "attributes": {"choices": ["8", "16"]}}');
INSERT INTO "trial_params" VALUES(22,4,'dropout',0.5,'{"name": "DiscreteUniformDistribution", "attributes": {"low": 0.0, "high": 0.5, "q": 0.25}}');
INSERT INTO "trial_params" VALUES(23,5,'contrastive.weight',3.64252986857047100777e-02,'{"name": "LogUniformDistribution", "attributes": {"low": 0.01, "high": 100}}');
INSERT INTO "trial_params" VALUES(24,5,'temperature',3.7072960008340011262e-01,'{"name": "LogUniformDistribution", "attributes": {"low": 0.05, "high": 0.5}}');
INSERT INTO "trial_params" VALUES(25,5,'head_kind',1.0,'{"name": "CategoricalDistribution", "attributes": {"choices": ["none", "mlp"]}}');
INSERT INTO "trial_params" VALUES(26,5,'Head.Layers',1.0,'{"name": "IntUniformDistribution", "attributes": {"low": 1, "high": 3, "step": 1}}');
INSERT INTO "trial_params" VALUES(27,5,'train.batch_size',1.0,'{"name": "CategoricalDistribution", "attributes": {"choices": ["8", "16"]}}');
INSERT INTO "trial_params" VALUES(28,5,'dropout',0.25,'{"name": "DiscreteUniformDistribution", "attributes": {"low": 0.0, "high": 0.5, "q": 0.25}}');
INSERT INTO "trial_params" VALUES(29,6,'contrastive.weight',1.32469746474684306751e+01,'{"name": "LogUniformDistribution", "attributes": {"low": 0.01, "high": 100}}');
INSERT INTO "trial_params" VALUES(30,6,'temperature',6.56514662807356763618e-02,'{"name": "LogUniformDistribution", "attributes": {"low": 0.05, "high": 0.5}}');
INSERT INTO "trial_params" VALUES(31,6,'head_kind',0.0,'{"name": "CategoricalDistribution", "attributes": {"choices": ["none", "mlp"]}}');
INSERT INTO "trial_params" VALUES(32,6,'train.batch_size',1.0,'{"name": "CategoricalDistribution", "attributes": {"choices": ["8", "16"]}}');
INSERT INTO "trial_params" VALUES(33,6,'dropout',0.0,'{"name": "DiscreteUniformDistribution", "attributes": {"low": 0.0, "high": 0.5, "q": 0.25}}');
INSERT INTO "trial_params" VALUES(34,7,'contrastive.weight',6.00724947590619464668e+01,'{"name": "LogUniformDistribution", "attributes": {"low": 0.01, "high": 100}}');
INSERT INTO "trial_params" VALUES(35,7,'temperature',1.66271695770029176442e-01,'{"name": "LogUniformDistribution", "attributes": {"low": 0.05, "high": 0.5}}');
INSERT INTO "trial_params" VALUES(36,7,'head_kind',0.0,'{"name": "CategoricalDistribution", "attributes": {"choices": ["none", "mlp"]}}');
INSERT INTO "trial_params" VALUES(37,7,'train.batch_size',1.0,'{"name": "CategoricalDistribution", "attributes": {"choices": ["8", "16"]}}');
INSERT INTO "trial_params" VALUES(38,7,'dropout',0.0,'{"name": "DiscreteUniformDistribution", "attributes": {"low": 0.0, "high": 0.5, "q": 0.25}}');
INSERT INTO "trial_params" VALUES(39,8,'contrastive.weight',1.25007122308362461637e+01,'{"name": "LogUniformDistribution", "attributes": {"low": 0.01, "high": 100}}');
INSERT INTO "trial_params" VALUES(40,8,'temperature',1.42928993866848624838e-01,'{"name": "LogUniformDistribution", "attributes": {"low": 0.05, "high": 0.5}}');
INSERT INTO "trial_params" VALUES(41,8,'head_kind',0.0,'{"name": "CategoricalDistribution", "attributes": {"choices": ["none", "mlp"]}}');
INSERT INTO "trial_params" VALUES(42,8,'train.batch_size',0.0,'{"name": "CategoricalDistribution", "attributes": {"choices": ["8", "16"]}}');
INSERT INTO "trial_params" VALUES(43,8,'dropout',0.0,'{"name": "DiscreteUniformDistribution", "attributes": {"low": 0.0, "high": 0.5, "q": 0.25}}');
INSERT INTO "trial_params" VALUES(44,9,'contrastive.weight',2.95489455872668305147e+00,'{"name": "LogUniformDistribution", "attributes": {"low": 0.01, "high": 100}}');
INSERT INTO "trial_params" VALUES(45,9,'temperature',2.04675437348308147944e-01,'{"name": "LogUniformDistribution", "attributes": {"low": 0.05, "high": 0.5}}');
INSERT INTO "trial_params" VALUES(46,9,'head_kind',0.0,'{"name": "CategoricalDistribution", "attributes": {"choices": ["none", "mlp"]}}');
INSERT INTO "trial_params" VALUES(47,9,'train.batch_size',1.0,'{"name": "CategoricalDistribution", "attributes": {"choices": ["8", "16"]}}');
INSERT INTO "trial_params" VALUES(48,9,'dropout',0.5,'{"name": "DiscreteUniformDistribution", "attributes": {"low": 0.0, "high": 0.5, "q": 0.25}}');
INSERT INTO "trial_params" VALUES(49,12,'contrastive.weight',4.6568046379195665585e-01,'{"name": "LogUniformDistribution", "attributes": {"low": 0.01, "high": 100}}');
INSERT INTO "trial_params" VALUES(50,12,'temperature',2.62599864571398500245e-01,'{"name": "LogUniformDistribution", "attributes": {"low": 0.05, "high": 0.5}}');
INSERT INTO "trial_params" VALUES(51,12,'head_kind',1.0,'{"name": "CategoricalDistribution", "attributes": {"choices": ["none", "mlp"]}}');
INSERT INTO "trial_params" VALUES(52,12,'Head.Layers',2.0,'{"name": "IntUniformDistribution", "attributes": {"low": 1, "high": 3, "step": 1}}');
INSERT INTO "trial_params" VALUES(53,12,'train.batch_size',1.0,'{"name": "CategoricalDistribution", "attributes": {"choices": ["8", "16"]}}');
INSERT INTO "trial_params" VALUES(54,12,'dropout',0.5,'{"name": "DiscreteUniformDistribution", "attributes": {"low": 0.0, "high": 0.5, "q": 0.25}}');
INSERT INTO "trial_params" VALUES(55,13,'contrastive.weight',8.79743178080501647686e-02,'{"name": "LogUniformDistribution", "attributes": {"low": 0.01, "high": 100}}');
INSERT INTO "trial_params" VALUES(56,13,'temperature',1.24609378984427143777e-01,'{"name": "LogUniformDistribution", "attributes": {"low": 0.05, "high": 0.5}}');
INSERT INTO "trial_params" VALUES(57,13,'head_kind',1.0,'{"name": "CategoricalDistribution", "attributes": {"choices": ["none", "mlp"]}}');
INSERT INTO "trial_params" VALUES(58,13,'Head.Layers',2.0,'{"name": "IntUniformDistribution", "attributes": {"low": 1, "high": 3, "step": 1}}');
INSERT INTO "trial_params" VALUES(59,13,'train.batch_size',0.0,'{"name": "CategoricalDistribution", "attributes": {"choices": ["8", "16"]}}');
INSERT INTO "trial_params" VALUES(60,13,'dropout',0.25,'{"name": "DiscreteUniformDistribution", "attributes": {"low": 0.0, "high": 0.5, "q": 0.25}}');
CREATE TABLE trial_system_attributes (
	trial_system_attribute_id INTEGER NOT NULL, 
	trial_id INTEGER, 
	"key" VARCHAR(512), 
	value_json VARCHAR(2048), 
	PRIMARY KEY (trial_system_attribute_id), 
	UNIQUE (trial_id, "key"), 
	FOREIGN KEY(trial_id) REFERENCES trials (trial_id)
);
INSERT INTO "trial_system_attributes" VALUES(1,4,'fail_reason','"Trial 3 failed because of the following error: RuntimeError(''out of memory'')"');
INSERT INTO "trial_system_attributes" VALUES(2,5,'fail_reason','"Trial 4 failed, because the objective function returned nan."');
INSERT INTO "trial_system_attributes" VALUES(3,11,'fixed_params','{"temperature": 0.1}');
CREATE TABLE trial_user_attributes (
	trial_user_attribute_id INTEGER NOT NULL, 
	trial_id INTEGER, 
	"key" VARCHAR(512), 
	value_json VARCHAR(2048), 
	PRIMARY KEY (trial_user_attribute_id), 
	UNIQUE (trial_id, "key"), 
	FOREIGN KEY(trial_id) REFERENCES trials (trial_id)
);
CREATE TABLE trial_values (
	trial_value_id INTEGER NOT NULL, 
	trial_id INTEGER, 
	step INTEGER, 
	value FLOAT, 
	PRIMARY KEY (trial_value_id), 
	UNIQUE (trial_id, step), 
	FOREIGN KEY(trial_id) REFERENCES trials (trial_id)
);
INSERT INTO "trial_values" VALUES(1,1,1,2.16261144571634211786e+01);
INSERT INTO "trial_values" VALUES(2,2,1,9e999);
INSERT INTO "trial_values" VALUES(3,3,1,1.57460405788649921983e+01);
INSERT INTO "trial_values" VALUES(4,4,1,1.21064087847689378914e+01);
INSERT INTO "trial_values" VALUES(5,5,1,1.44205874647265162025e+01);
INSERT INTO "trial_values" VALUES(6,6,1,1.61569108338173208494e+01);
INSERT INTO "trial_values" VALUES(7,7,1,1.03426669063075848953e+01);
INSERT INTO "trial_values" VALUES(8,8,1,1.62472734179394358018e+01);
INSERT INTO "trial_values" VALUES(9,9,1,1.91310952743818383225e+01);
CREATE TABLE trials (
	trial_id INTEGER NOT NULL, 
	number INTEGER, 
	study_id INTEGER, 
	state VARCHAR(8) NOT NULL, 
	value FLOAT, 
	datetime_start DATETIME, 
	datetime_complete DATETIME, 
	PRIMARY KEY (trial_id), 
	FOREIGN KEY(study_id) REFERENCES studies (study_id), 
	CONSTRAINT trialstate CHECK (state IN ('RUNNING', 'COMPLETE', 'PRUNED', 'FAIL', 'WAITING'))
);
INSERT INTO "trials" VALUES(1,0,1,'COMPLETE',2.16261144571634211786e+01,'2026-11-24 09:54:20.896004','2026-11-24 09:54:20.913985');
INSERT INTO "trials" VALUES(2,1,1,'COMPLETE',19.4233115967395,'2026-11-24 09:54:20.917220','2026-11-24 09:54:20.922718');
INSERT INTO "trials" VALUES(3,2,1,'PRUNED',1.57460405788649921983e+01,'2026-11-24 09:54:20.926016','2026-11-24 09:54:20.930868');
INSERT INTO "trials" VALUES(4,3,1,'FAIL',NULL,'2026-11-24 09:54:20.934071','2026-11-24 09:54:20.941639');
INSERT INTO "trials" VALUES(5,4,1,'FAIL',NULL,'2026-11-24 09:54:20.944849','2026-11-24 09:54:20.951740');
INSERT INTO "trials" VALUES(6,5,1,'COMPLETE',9e999,'2026-11-24 09:54:20.955297','2026-11-24 09:54:20.960092');
INSERT INTO "trials" VALUES(7,6,1,'COMPLETE',1.03426669063075848953e+01,'2026-11-24 09:54:20.963248','2026-11-24 09:54:20.968032');
INSERT INTO "trials" VALUES(8,7,1,'COMPLETE',1.62472734179394358018e+01,'2026-11-24 09:54:20.971140','2026-11-24 09:54:20.976077');
INSERT INTO "trials" VALUES(9,8,1,'COMPLETE',1.91310952743818383225e+01,'2026-11-24 09:54:20.979203','2026-11-24 09:54:20.983844');
INSERT INTO "trials" VALUES(10,9,1,'RUNNING',NULL,'2026-11-24 09:54:20.985890',NULL);
INSERT INTO "trials" VALUES(11,10,1,'WAITING',NULL,'2026-11-24 09:54:20.987648',NULL);
INSERT INTO "trials" VALUES(12,0,2,'COMPLETE',-2.14069034456567770514e+01,'2026-11-24 09:54:21.003273','2026-11-24 09:54:21.017851');
INSERT INTO "trials" VALUES(13,1,2,'COMPLETE',-1.85322372728753492765e+01,'2026-11-24 09:54:21.021080','2026-11-24 09:54:21.022968');
CREATE TABLE version_info (
	version_info_id INTEGER NOT NULL, 
	schema_version INTEGER, 
	library_version VARCHAR(256), 
	PRIMARY KEY (version_info_id), 
	CHECK (version_info_id=1)
);
INSERT INTO "version_info" VALUES(1,12,'2.3.0');
CREATE UNIQUE INDEX ix_studies_study_name ON studies (study_name);
COMMIT;
